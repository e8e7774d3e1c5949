// RMS norm of the residual stream: the CUDA body of how both halves of a hybrid's layer begin.
#pragma once

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/device/activation_view.h"

namespace skein {

struct CudaContext;

// normed = x / sqrt(mean(x^2) + eps) * weight, row by row, rounded to the type of `normed`.
struct RmsNorm {
  TensorView<const float> x;       // [rows, D]
  TensorView<const float> weight;  // [D]
  float eps = 1e-6f;
  ActivationView normed;  // [rows, D]
};

absl::Status RmsNormCuda(const RmsNorm& args, CudaContext& context);

}  // namespace skein
