#include "worker/layers/channel_mix_v7.h"

#include "common/base/status_macros.h"
#include "kernels/channel_mix_in/channel_mix_in.h"
#include "kernels/channel_mix_out/channel_mix_out.h"

namespace skein {

void ChannelMixV7Buffers::Plan(int64_t width, int64_t ffn_width, BufferPlan& plan) {
  for (Buffer* buffer : {&normed, &product}) plan.AddFloats(width, buffer);
  plan.AddOperand(width, &mixed);
  plan.AddOperand(ffn_width, &h);
}

absl::Status ChannelMixV7(const ChannelMixV7Weights& weights, const StatePart& shift,
                          const Step& step, const ChannelMixV7Buffers& buffers,
                          const TensorView<float>& residual) {
  const int64_t rows = step.rows();
  const int64_t width = weights.key.cols;
  ChannelMixInArgs in;
  in.x = residual;
  in.norm_weight = weights.norm_weight;
  in.norm_bias = weights.norm_bias;
  in.eps = weights.norm_eps;
  in.mix = weights.mix;
  in.key = weights.key;
  in.sequences = step.sequences;
  in.shift = step.State(shift);
  in.normed = buffers.normed.Floats(rows, width);
  in.mixed = buffers.mixed.View(rows, width, step.types.operand);
  in.h = buffers.h.View(rows, weights.key.rows, step.types.operand);
  in.adapters = step.Adapters(AdapterPlace::kFfnIn, width);
  const LayerExperts experts = step.adapters ? step.adapters->Experts() : LayerExperts();
  in.experts = experts.segments;
  in.bare = experts.bare;
  in.side = experts.side;
  in.experts_workspace = experts.workspace;
  RETURN_IF_ERROR(ChannelMixIn(in, step.stream));
  return ChannelMixOut(
      {in.h, weights.value, buffers.product.Floats(rows, width), residual,
       step.Adapters(AdapterPlace::kFfnOut, weights.value.cols), experts.segments, experts.side},
      step.stream);
}

}  // namespace skein
