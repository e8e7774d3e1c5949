// A product whose outputs are added to the residual stream: how each half of a layer ends.
#pragma once

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/adapter/product_adapters.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/dispatch.h"
#include "kernels/linear/weight_matrix.h"

namespace skein {

// residual[m] += W x[m] + bias
struct ProjectAddArgs {
  ConstActivationView x;          // [rows, inputs]
  WeightMatrix weight;            // [width, inputs]
  TensorView<const float> bias;   // [width], may be empty
  TensorView<float> product;      // workspace [rows, width]
  TensorView<float> residual;     // [rows, width]
  ProductAdapters adapters = {};  // CPU only

  // InvalidArgument if a shape disagrees.
  absl::Status Validate() const;
};

void ProjectAddRef(const ProjectAddArgs& args);
void ProjectAddCpu(const ProjectAddArgs& args, ParallelFor& threads);
absl::Status ProjectAddCuda(const ProjectAddArgs& args, CudaContext& context);

inline absl::Status ProjectAdd(const ProjectAddArgs& args, const Stream& stream) {
  SKEIN_DISPATCH(ProjectAdd, args, stream);
}

}  // namespace skein
