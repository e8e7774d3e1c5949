// Rows of the embedding table, layer-normed where the model does so.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/device/dispatch.h"
#include "kernels/linear/weight_matrix.h"

namespace skein {

// x[m] = table[tokens[m]], or LN(table[tokens[m]]) where a norm is given (docs/models/rwkv7.md, eq.
// 1).
struct EmbeddingArgs {
  TensorView<const int32_t> tokens;                // [rows], in [0, vocab)
  WeightMatrix table;                              // [vocab, width]
  TensorView<const float> norm_weight, norm_bias;  // [width] both, or both empty
  float eps = 1e-5f;
  TensorView<float> x;  // [rows, width]

  // InvalidArgument if a shape disagrees.
  absl::Status Validate() const;
};

void EmbeddingCpu(const EmbeddingArgs& args, ParallelFor& threads);
absl::Status EmbeddingCuda(const EmbeddingArgs& args, CudaContext& context);

inline absl::Status Embedding(const EmbeddingArgs& args, const Stream& stream) {
  SKEIN_DISPATCH(Embedding, args, stream);
}

}  // namespace skein
