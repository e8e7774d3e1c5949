// Products with weight matrices: the building block of the operations' CPU bodies. Not an operation
// itself.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "common/tensor/tensor_view.h"
#include "kernels/cpu/rows.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/parallel_for.h"
#include "kernels/linear/weight_matrix.h"

namespace skein {

struct CudaContext;

// y = activation(x W^T + bias), row by row.
struct Projection {
  WeightMatrix weight;           // [outputs, inputs]
  TensorView<const float> bias;  // [outputs], may be empty
  Activation activation = Activation::kNone;
  ConstActivationView x;    // [rows, inputs]; on CUDA in the weight's type, or fp32
  ActivationView y;         // [rows, outputs]; must not overlap x
  bool accumulate = false;  // CUDA only: y is fp32 and the product is added to it

  // InvalidArgument if a shape does not fit, or the element type is not fp32, bf16 or fp16.
  absl::Status Validate() const;
};

// All of them at once, spread over the threads as one piece of work. Summation order:
// products_lanes.h.
void ProjectCpu(std::span<const Projection> projections, ParallelFor& threads);
// x += y W^T + bias: a product whose outputs are added to `residual` [rows, outputs].
// `projection.y` is workspace.
void ProjectAndAddCpu(const Projection& projection, TensorView<float> residual,
                      ParallelFor& threads);

// On the GPU, for projections with the same number of rows. A row's bits depend on the row and on
// which of the paths for 1 to 4, 5 to 64 or more rows it takes.
absl::Status ProjectCuda(std::span<const Projection> projections, CudaContext& context);

// Plain loops in double precision, the result rounded once.
void ProjectRef(const Projection& projection);

// Element [row, col] as fp32, and a whole row.
float WeightAt(const WeightMatrix& weight, int64_t row, int64_t col);
void WeightRow(const WeightMatrix& weight, int64_t row, float* out);

}  // namespace skein
