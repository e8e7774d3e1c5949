// Second stage of RWKV-7 channel mixing: the value product, added to the residual stream.
#pragma once

#include <span>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/adapter/mole.h"
#include "kernels/adapter/product_adapters.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/dispatch.h"
#include "kernels/linear/weight_matrix.h"

namespace skein {

// residual[m] += Wvalue h[m] (docs/models/rwkv7.md, eq. 18). Most of h is exactly zero in trained
// models, which sets this stage apart from other products.
struct ChannelMixOutArgs {
  ConstActivationView h;       // [rows, F], not negative
  WeightMatrix value;          // [D, F]
  TensorView<float> product;   // workspace [rows, D]
  TensorView<float> residual;  // [rows, D]

  // CPU only.
  ProductAdapters adapters = {};
  std::span<const MoleSegment> experts = {};  // rows to which `side` is added
  TensorView<const float> side = {};          // [rows, D], of ChannelMixIn

  // InvalidArgument if a shape disagrees.
  absl::Status Validate() const;
};

void ChannelMixOutCpu(const ChannelMixOutArgs& args, ParallelFor& threads);
absl::Status ChannelMixOutCuda(const ChannelMixOutArgs& args, CudaContext& context);

inline absl::Status ChannelMixOut(const ChannelMixOutArgs& args, const Stream& stream) {
  SKEIN_DISPATCH(ChannelMixOut, args, stream);
}

}  // namespace skein
