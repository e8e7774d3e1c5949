#include "worker/layers/gated_mlp.h"

#include "common/base/status_macros.h"
#include "kernels/gated_mlp_in/gated_mlp_in.h"
#include "kernels/project_add/project_add.h"

namespace skein {

void GatedMlpBuffers::Plan(int64_t width, int64_t ffn_width, BufferPlan& plan) {
  plan.AddOperand(width, &normed);
  plan.AddFloats(width, &product);
  plan.AddResult(ffn_width, &gated);
  plan.AddOperand(ffn_width, &h);
}

absl::Status GatedMlp(const GatedMlpWeights& weights, const Step& step,
                      const GatedMlpBuffers& buffers, const TensorView<float>& residual) {
  const int64_t rows = step.rows();
  const int64_t width = weights.down.rows;
  GatedMlpInArgs in;
  in.x = residual;
  in.norm_weight = weights.norm_weight;
  in.eps = weights.norm_eps;
  in.gate = weights.gate;
  in.up = weights.up;
  in.normed = buffers.normed.View(rows, width, step.types.operand);
  in.gated = buffers.gated.View(rows, weights.gate.rows, step.types.result(rows));
  in.h = buffers.h.View(rows, weights.gate.rows, step.types.operand);
  in.gate_adapters = step.Adapters(AdapterPlace::kFfnIn, width);
  in.up_adapters = step.Adapters(AdapterPlace::kFfnUp, width);
  RETURN_IF_ERROR(GatedMlpIn(in, step.stream));
  return ProjectAdd({in.h,
                     weights.down,
                     {},
                     buffers.product.Floats(rows, width),
                     residual,
                     step.Adapters(AdapterPlace::kFfnOut, weights.down.cols)},
                    step.stream);
}

}  // namespace skein
