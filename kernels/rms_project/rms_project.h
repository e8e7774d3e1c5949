// RMS norm and every product of its result: the first stage of a hybrid's RWKV and attention
// layers.
#pragma once

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/adapter/product_adapters.h"
#include "kernels/device/dispatch.h"
#include "kernels/linear/linear.h"

namespace skein {

// n = x / sqrt(mean(x^2) + eps) * norm_weight;  y = activation(W n + bias) for each output.
struct RmsProjectArgs {
  struct Output {
    WeightMatrix weight;           // [outputs, D]
    TensorView<const float> bias;  // [outputs], may be empty
    Activation activation = Activation::kNone;
    ActivationView y;               // [rows, outputs]
    ProductAdapters adapters = {};  // CPU only
  };

  TensorView<const float> x;            // [rows, D], the residual stream
  TensorView<const float> norm_weight;  // [D]
  float eps = 1e-6f;
  ActivationView normed;  // workspace [rows, D]
  absl::InlinedVector<Output, 8> outputs;

  // InvalidArgument if a shape disagrees.
  absl::Status Validate() const;
};

void RmsProjectRef(const RmsProjectArgs& args);
void RmsProjectCpu(const RmsProjectArgs& args, ParallelFor& threads);
absl::Status RmsProjectCuda(const RmsProjectArgs& args, CudaContext& context);

inline absl::Status RmsProject(const RmsProjectArgs& args, const Stream& stream) {
  SKEIN_DISPATCH(RmsProject, args, stream);
}

}  // namespace skein
