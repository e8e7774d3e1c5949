// First stage of a gated MLP: RMS norm, gate and up products, SiLU.
#pragma once

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/adapter/product_adapters.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/dispatch.h"
#include "kernels/linear/weight_matrix.h"

namespace skein {

// n = RMS(x);  h = silu(Wgate n) * (Wup n), with silu(z) = z sigmoid(z) (docs/models/hybrid.md).
struct GatedMlpInArgs {
  TensorView<const float> x;            // [rows, D], the residual stream
  TensorView<const float> norm_weight;  // [D]
  float eps = 1e-6f;
  WeightMatrix gate, up;                                 // [F, D]
  ActivationView normed;                                 // workspace [rows, D]
  ActivationView gated, h;                               // workspace and result [rows, F]
  ProductAdapters gate_adapters = {}, up_adapters = {};  // CPU only

  // InvalidArgument if a shape disagrees.
  absl::Status Validate() const;
};

void GatedMlpInRef(const GatedMlpInArgs& args);
void GatedMlpInCpu(const GatedMlpInArgs& args, ParallelFor& threads);
absl::Status GatedMlpInCuda(const GatedMlpInArgs& args, CudaContext& context);

inline absl::Status GatedMlpIn(const GatedMlpInArgs& args, const Stream& stream) {
  SKEIN_DISPATCH(GatedMlpIn, args, stream);
}

}  // namespace skein
