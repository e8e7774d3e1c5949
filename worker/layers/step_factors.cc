#include "worker/layers/step_factors.h"

#include <iterator>

#include "worker/memory/initial_state.h"

namespace skein {

std::span<const float* const> StepFactors::At(const ModelBatch& batch, int64_t layer) {
  if (batch.factors.empty()) return {};
  factors_.assign(batch.num_sequences(), nullptr);
  for (const SequenceFactors& one : batch.factors) {
    const std::vector<std::vector<float>>& layers = one.factors->layers;
    const bool any = layer < std::ssize(layers) && !layers[layer].empty();
    if (any) factors_[one.sequence] = layers[layer].data();
  }
  return factors_;
}

}  // namespace skein
