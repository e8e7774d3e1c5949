// Final norm and head product, for the rows whose logits are wanted.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/adapter/product_adapters.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/dispatch.h"
#include "kernels/linear/weight_matrix.h"

namespace skein {

// logits[i] = Whead norm(x[rows[i]]); layer norm with a bias, RMS norm without one.
struct HeadArgs {
  TensorView<const float> x;            // [all rows, D], the residual stream
  TensorView<const int32_t> rows;       // [outputs], indices into x; may be empty
  TensorView<const float> norm_weight;  // [D]
  TensorView<const float> norm_bias;    // [D] or empty
  float eps = 1e-5f;
  WeightMatrix head;              // [vocab, D]
  ActivationView normed;          // workspace [outputs, D]
  TensorView<float> logits;       // [outputs, vocab]
  ProductAdapters adapters = {};  // CPU only; segments count outputs

  // InvalidArgument if a shape disagrees.
  absl::Status Validate() const;
};

void HeadRef(const HeadArgs& args);
void HeadCpu(const HeadArgs& args, ParallelFor& threads);
absl::Status HeadCuda(const HeadArgs& args, CudaContext& context);

inline absl::Status Head(const HeadArgs& args, const Stream& stream) {
  SKEIN_DISPATCH(Head, args, stream);
}

}  // namespace skein
