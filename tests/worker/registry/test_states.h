// States and adapters without a model.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "worker/adapters/bound_adapter.h"
#include "worker/memory/initial_state.h"

namespace skein {

inline std::shared_ptr<const InitialState> MakeState(const std::string& hash) {
  return std::make_shared<const InitialState>(
      InitialState{.record = *Arena::Create(8), .content_hash = hash});
}

inline std::shared_ptr<const BoundAdapter> MakeBoundAdapter(const std::string& hash) {
  Adapter adapter;
  adapter.content_hash = hash;
  auto bound = std::make_shared<BoundAdapter>();
  bound->adapter = std::make_shared<const Adapter>(std::move(adapter));
  return bound;
}

}  // namespace skein
