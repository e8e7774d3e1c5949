// A tuned state of random values, for tests with real models.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <utility>

#include "common/base/check.h"
#include "kernels/device/memory.h"
#include "worker/memory/initial_state.h"
#include "worker/models/model.h"

namespace skein {

// Where `stream` computes. All fields must be fp32.
inline std::shared_ptr<const InitialState> RandomState(const StateLayout& layout, uint32_t seed,
                                                       const Stream& stream) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> values(-0.5f, 0.5f);
  std::unique_ptr<Arena> record = *Arena::Create(layout.bytes);
  std::memset(record->data(), 0, record->bytes());
  for (const StateField& field : layout.fields) {
    SKEIN_CHECK(field.dtype == DType::kF32);
    auto* const to = reinterpret_cast<float*>(static_cast<char*>(record->data()) + field.offset);
    for (int64_t i = 0; i < NumElements(field.shape); ++i) to[i] = values(random);
  }
  return std::make_shared<const InitialState>(
      InitialState{.record = *Upload(stream, std::move(record)), .content_hash = ""});
}

}  // namespace skein
