// First stage of RWKV-7 channel mixing: layer norm, token shift, key product, squared relu.
#pragma once

#include <span>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/adapter/mole.h"
#include "kernels/adapter/product_adapters.h"
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

  // CPU only.
  ProductAdapters adapters = {};
  // Rows whose h is a mixture of experts (mole.h). The other three belong to them.
  std::span<const MoleSegment> experts = {};
  ActivationView bare = {};     // workspace [rows, F]
  TensorView<float> side = {};  // [rows, D], written: what the experts add to the output
  TensorView<float> experts_workspace = {};  // [rows, MoleWorkspace or more]

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
