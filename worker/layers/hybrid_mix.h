// The RWKV layer of hxa079 hybrids: the first half of most of their layers (docs/models/hybrid.md,
// eq. 5 to 17).
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/linear/weight_matrix.h"
#include "worker/layers/buffers.h"
#include "worker/layers/step.h"

namespace skein {

// Shapes as in HybridWkvArgs. Optional tensors may be empty: the biases, and both head norms
// together. The first RWKV layer has no k0 to v2.
struct HybridMixWeights {
  TensorView<const float> norm_weight;  // [D]
  float norm_eps = 1e-6f;               // of all three norms
  WeightMatrix receptance, key, value, output;
  TensorView<const float> receptance_bias, key_bias, value_bias, output_bias;
  TensorView<const float> r_norm, k_norm;
  WeightMatrix w1, a1, g1, k1, v1;
  WeightMatrix w2, a2, g2, k2, v2;
  TensorView<const float> w0, a0, k0, v0, r_k;
};

struct HybridMixSizes {
  int64_t width = 0;     // D
  int64_t r_width = 0;   // C
  int64_t kv_width = 0;  // E
  int64_t max_rank = 0;
};

// Shared by the layers of a model; k_first and v_first carry the first RWKV layer's to the others.
struct HybridMixBuffers {
  Buffer normed, product, r, k, v;
  Buffer w_rank, a_rank, g_rank, k_rank, v_rank;
  Buffer u, a, g, k_mix, v_mix, k_first, v_first, y;

  void Plan(const HybridMixSizes& sizes, BufferPlan& plan);
};

// Angles of the step's positions, each [rows, N / 2].
struct RopeAngles {
  TensorView<const float> cosines, sines;
};

// residual += Mixer(rms(residual)); `wkv` is the layer's field [H, N, N] of the state record.
absl::Status HybridMix(const HybridMixWeights& weights, const StatePart& wkv,
                       const RopeAngles& angles, const Step& step, const HybridMixBuffers& buffers,
                       const TensorView<float>& residual);

}  // namespace skein
