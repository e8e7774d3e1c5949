// RWKV-7 channel mixing: the second half of a pure RWKV layer (docs/models/rwkv7.md, eq. 17 and
// 18).
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/linear/weight_matrix.h"
#include "worker/layers/buffers.h"
#include "worker/layers/step.h"

namespace skein {

struct ChannelMixV7Weights {
  TensorView<const float> norm_weight, norm_bias;  // of ln2, [D]
  float norm_eps = 1e-5f;
  TensorView<const float> mix;  // [D]
  WeightMatrix key, value;      // [F, D], [D, F]
};

struct ChannelMixV7Buffers {
  Buffer normed, mixed, product, h;

  void Plan(int64_t width, int64_t ffn_width, BufferPlan& plan);
};

// residual += ChannelMix(LN2(residual)); `shift` is the layer's field [D] of the state
// record.
absl::Status ChannelMixV7(const ChannelMixV7Weights& weights, const StatePart& shift,
                          const Step& step, const ChannelMixV7Buffers& buffers,
                          const TensorView<float>& residual);

}  // namespace skein
