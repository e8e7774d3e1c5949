// RWKV-7 time mixing: the first half of a pure RWKV layer (docs/models/rwkv7.md, eq. 4 to 16).
#pragma once

#include <array>
#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/linear/weight_matrix.h"
#include "kernels/time_mix_in/time_mix_in.h"
#include "worker/layers/buffers.h"
#include "worker/layers/step.h"

namespace skein {

// Shapes as in TimeMixInArgs and TimeMixWkvArgs. Layer 0 has no v0, v1, v2.
struct TimeMixV7Weights {
  TensorView<const float> norm_weight, norm_bias;  // of ln1
  float norm_eps = 1e-5f;
  std::array<TensorView<const float>, TimeMixInArgs::kNumInputs> mix;
  WeightMatrix receptance, key, value, output;
  WeightMatrix w1, a1, v1, g1;
  WeightMatrix w2, a2, v2, g2;
  TensorView<const float> w0, a0, v0, k_k, k_a, r_k;
  TensorView<const float> group_norm_weight, group_norm_bias;
  float group_norm_eps = 64e-5f;
};

struct TimeMixV7Sizes {
  int64_t width = 0;      // D
  int64_t att_width = 0;  // A
  int64_t max_rank = 0;
};

// Shared by the layers of a model; v_first carries layer 0's values to the others.
struct TimeMixV7Buffers {
  Buffer normed, product;
  std::array<Buffer, TimeMixInArgs::kNumInputs> mixed;
  Buffer r, k, v, w_rank, a_rank, v_rank, g_rank;
  Buffer w, a, g, v_mix, v_first, y;

  void Plan(const TimeMixV7Sizes& sizes, BufferPlan& plan);
};

// The layer's fields in the state record.
struct TimeMixV7State {
  StatePart shift;  // [D]
  StatePart wkv;    // [H, N, N]
};

// residual += TimeMix(LN1(residual))
absl::Status TimeMixV7(const TimeMixV7Weights& weights, const TimeMixV7State& state,
                       const Step& step, const TimeMixV7Buffers& buffers,
                       const TensorView<float>& residual);

}  // namespace skein
