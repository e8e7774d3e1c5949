// Grouped-query attention without position embedding, over paged keys and values
// (docs/models/hybrid.md, eq. 19 to 22).
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/device/kv_pages.h"
#include "kernels/linear/weight_matrix.h"
#include "worker/layers/buffers.h"
#include "worker/layers/step.h"

namespace skein {

// Optional tensors may be empty: the biases, and both head norms together.
struct AttentionWeights {
  TensorView<const float> norm_weight;     // [D]
  float norm_eps = 1e-6f;                  // of all three norms
  WeightMatrix query, key, value, output;  // [C, D], [E, D], [E, D], [D, C]
  TensorView<const float> query_bias, key_bias, value_bias, output_bias;
  TensorView<const float> query_norm, key_norm;  // [N]
};

struct AttentionBuffers {
  Buffer normed, product, q, k, v, y;

  void Plan(int64_t width, int64_t query_width, int64_t kv_width, BufferPlan& plan);
};

// residual += Attention(rms(residual)); appends the rows' keys and values to `pages`.
absl::Status Attention(const AttentionWeights& weights, const KvPages& pages, const Step& step,
                       const AttentionBuffers& buffers, const TensorView<float>& residual);

}  // namespace skein
