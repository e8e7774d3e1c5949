#include "worker/layers/step_factors.h"

#include "worker/memory/initial_state.h"

namespace skein {

std::span<const float* const> StepFactors::At(const ModelBatch& batch, int64_t layer) {
  if (batch.factors.empty()) return {};
  factors_.assign(batch.num_sequences(), nullptr);
  for (const SequenceFactors& one : batch.factors) {
    const std::vector<float>& values = one.factors->layers[layer];
    if (!values.empty()) factors_[one.sequence] = values.data();
  }
  return factors_;
}

}  // namespace skein
