// A tuned state of random values, for tests with real models.
#pragma once

#include <algorithm>
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

// Where `stream` computes. All fields must be fp32. `factors`: with factors of the WKV output.
inline std::shared_ptr<const InitialState> RandomState(const StateLayout& layout, uint32_t seed,
                                                       const Stream& stream, bool factors = false) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> values(-0.5f, 0.5f);
  std::unique_ptr<Arena> record = *Arena::Create(layout.bytes);
  std::memset(record->data(), 0, record->bytes());
  for (const StateField& field : layout.fields) {
    SKEIN_CHECK(field.dtype == DType::kF32);
    auto* const to = reinterpret_cast<float*>(static_cast<char*>(record->data()) + field.offset);
    for (int64_t i = 0; i < NumElements(field.shape); ++i) to[i] = values(random);
  }
  auto state = std::make_shared<InitialState>(
      InitialState{.record = *Upload(stream, std::move(record)), .content_hash = ""});
  if (!factors) return state;
  auto all = std::make_unique<WkvFactors>();
  for (const StateField& field : layout.fields) {
    all->layers.resize(std::max<size_t>(all->layers.size(), field.layer + 1));
    if (field.name != "wkv") continue;
    all->layers[field.layer].resize(field.shape[0] * field.shape[1]);
    for (float& value : all->layers[field.layer]) value = 1 + values(random);
  }
  state->factors = std::move(all);
  return state;
}

}  // namespace skein
