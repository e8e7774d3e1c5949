// Layer norm or RMS norm of rows of the residual stream, as operands of matrix products.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/cuda_context.h"

namespace skein {

// y[i] = norm(x[rows[i]]): layer norm with a bias, RMS norm without one.
struct NormRows {
  TensorView<const float> x;       // [.., width]
  TensorView<const int32_t> rows;  // [outputs], or empty: y[i] = norm(x[i])
  TensorView<const float> weight;  // [width]
  TensorView<const float> bias;    // [width] or empty
  float eps = 0;
  ActivationView y;  // [outputs, width], fp32, fp16 or bf16
};

absl::Status NormRowsCuda(const NormRows& args, CudaContext& context);

}  // namespace skein
