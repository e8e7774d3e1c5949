// The SiLU-gated MLP of Transformers: the second half of a hybrid's layer (docs/models/hybrid.md,
// eq. 4).
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/linear/weight_matrix.h"
#include "worker/layers/buffers.h"
#include "worker/layers/step.h"

namespace skein {

struct GatedMlpWeights {
  TensorView<const float> norm_weight;  // [D]
  float norm_eps = 1e-6f;
  WeightMatrix gate, up, down;  // [F, D], [F, D], [D, F]
};

struct GatedMlpBuffers {
  Buffer normed, product, gated, h;

  void Plan(int64_t width, int64_t ffn_width, BufferPlan& plan);
};

// residual += MLP(rms(residual))
absl::Status GatedMlp(const GatedMlpWeights& weights, const Step& step,
                      const GatedMlpBuffers& buffers, const TensorView<float>& residual);

}  // namespace skein
