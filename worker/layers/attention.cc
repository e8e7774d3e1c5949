#include "worker/layers/attention.h"

#include "common/base/status_macros.h"
#include "kernels/kv_append/kv_append.h"
#include "kernels/paged_attention/paged_attention.h"
#include "kernels/project_add/project_add.h"
#include "kernels/rms_project/rms_project.h"

namespace skein {

void AttentionBuffers::Plan(int64_t width, int64_t query_width, int64_t kv_width,
                            BufferPlan& plan) {
  plan.AddOperand(width, &normed);
  plan.AddFloats(width, &product);
  plan.AddResult(query_width, &q);
  plan.AddOperand(query_width, &y);
  for (Buffer* buffer : {&k, &v}) plan.AddResult(kv_width, buffer);
}

absl::Status Attention(const AttentionWeights& weights, const KvPages& pages, const Step& step,
                       const AttentionBuffers& buffers, const TensorView<float>& residual) {
  const int64_t rows = step.rows();
  const int64_t width = weights.query.cols;
  const DType operand = step.types.operand, result = step.types.result(rows);
  const auto q = buffers.q.View(rows, weights.query.rows, result);
  const auto k = buffers.k.View(rows, weights.key.rows, result);
  const auto v = buffers.v.View(rows, weights.key.rows, result);
  RETURN_IF_ERROR(RmsProject({residual,
                              weights.norm_weight,
                              weights.norm_eps,
                              buffers.normed.View(rows, width, operand),
                              {{weights.query, weights.query_bias, Activation::kNone, q,
                                step.Adapters(AdapterPlace::kReceptance, width)},
                               {weights.key, weights.key_bias, Activation::kNone, k,
                                step.Adapters(AdapterPlace::kKey, width)},
                               {weights.value, weights.value_bias, Activation::kNone, v,
                                step.Adapters(AdapterPlace::kValue, width)}}},
                             step.stream));
  RETURN_IF_ERROR(KvAppend({q, k, v, weights.query_norm, weights.key_norm, weights.norm_eps,
                            step.positions, step.sequences, pages},
                           step.stream));
  const auto y = buffers.y.View(rows, weights.query.rows, operand);
  RETURN_IF_ERROR(PagedAttention({q, step.positions, step.sequences, pages, y}, step.stream));
  return ProjectAdd({y, weights.output, weights.output_bias, buffers.product.Floats(rows, width),
                     residual, step.Adapters(AdapterPlace::kOutput, weights.output.cols)},
                    step.stream);
}

}  // namespace skein
