// First stage of RWKV-7 channel mixing: layer norm, token shift, key product, squared relu.
#pragma once

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/dispatch.h"
#include "kernels/device/sequences.h"
#include "kernels/linear/weight_matrix.h"

namespace skein {

// Per row, with n = LN(x) and p that of the token before (docs/models/rwkv7.md, eq. 17 and 18):
//   h = max(Wkey (n + (p - n) * mix), 0)^2
struct ChannelMixInArgs {
  TensorView<const float> x;                       // [rows, D], the residual stream
  TensorView<const float> norm_weight, norm_bias;  // [D]
  float eps = 1e-5f;
  TensorView<const float> mix;  // [D]
  WeightMatrix key;             // [F, D]
  SequenceRows sequences;
  StateTensor shift;         // [D], n of the last token; read, then updated
  TensorView<float> normed;  // workspace [rows, D]
  ActivationView mixed;      // workspace [rows, D]
  ActivationView h;          // [rows, F]

  // InvalidArgument if a shape disagrees.
  absl::Status Validate() const;
};

void ChannelMixInRef(const ChannelMixInArgs& args);
void ChannelMixInCpu(const ChannelMixInArgs& args, ParallelFor& threads);
absl::Status ChannelMixInCuda(const ChannelMixInArgs& args, CudaContext& context);

inline absl::Status ChannelMixIn(const ChannelMixInArgs& args, const Stream& stream) {
  SKEIN_DISPATCH(ChannelMixIn, args, stream);
}

}  // namespace skein
