#include "worker/layers/time_mix_v7.h"

#include "common/base/status_macros.h"
#include "kernels/project_add/project_add.h"
#include "kernels/time_mix_wkv/time_mix_wkv.h"

namespace skein {
namespace {

ActivationView OptionalView(const Buffer& buffer, int64_t rows, const WeightMatrix& weight,
                            int64_t cols, DType dtype) {
  return weight.empty() ? ActivationView() : buffer.View(rows, cols, dtype);
}

TimeMixInArgs InArgs(const TimeMixV7Weights& w, const TimeMixV7State& state, const Step& step,
                     const TimeMixV7Buffers& b, const TensorView<float>& residual) {
  const int64_t rows = step.rows();
  TimeMixInArgs args;
  args.x = residual;
  args.norm_weight = w.norm_weight;
  args.norm_bias = w.norm_bias;
  args.mix = w.mix;
  args.receptance = w.receptance;
  args.key = w.key;
  args.value = w.value;
  args.w1 = w.w1;
  args.a1 = w.a1;
  args.v1 = w.v1;
  args.g1 = w.g1;
  args.sequences = step.sequences;
  args.shift = step.State(state.shift);
  args.normed = b.normed.Floats(rows, w.receptance.cols);
  for (size_t i = 0; i < b.mixed.size(); ++i) {
    args.mixed[i] = b.mixed[i].View(rows, w.receptance.cols, step.types.operand);
  }
  args.r = b.r.View(rows, w.receptance.rows, step.types.result(rows));
  args.k = b.k.View(rows, w.receptance.rows, step.types.result(rows));
  args.v = b.v.View(rows, w.receptance.rows, step.types.result(rows));
  args.w_rank = b.w_rank.View(rows, w.w1.rows, step.types.operand);
  args.a_rank = b.a_rank.View(rows, w.a1.rows, step.types.operand);
  args.g_rank = b.g_rank.View(rows, w.g1.rows, step.types.operand);
  args.v_rank = OptionalView(b.v_rank, rows, w.v1, w.v1.rows, step.types.operand);
  args.r_adapters = step.Adapters(AdapterPlace::kReceptance, w.receptance.cols);
  args.k_adapters = step.Adapters(AdapterPlace::kKey, w.key.cols);
  args.v_adapters = step.Adapters(AdapterPlace::kValue, w.value.cols);
  return args;
}

TimeMixWkvArgs WkvArgs(const TimeMixV7Weights& w, const TimeMixV7State& state, const Step& step,
                       const TimeMixInArgs& in, const TimeMixV7Buffers& b) {
  const int64_t rows = step.rows();
  const int64_t width = w.receptance.rows;
  const DType result = step.types.result(rows);
  TimeMixWkvArgs args;
  args.r = in.r;
  args.k = in.k;
  args.v = in.v;
  args.w_rank = in.w_rank;
  args.a_rank = in.a_rank;
  args.v_rank = in.v_rank;
  args.g_rank = in.g_rank;
  args.w2 = w.w2;
  args.a2 = w.a2;
  args.v2 = w.v2;
  args.g2 = w.g2;
  args.w0 = w.w0;
  args.a0 = w.a0;
  args.v0 = w.v0;
  args.k_k = w.k_k;
  args.k_a = w.k_a;
  args.r_k = w.r_k;
  args.norm_weight = w.group_norm_weight;
  args.norm_bias = w.group_norm_bias;
  args.positions = step.positions;
  args.sequences = step.sequences;
  args.state = step.State(state.wkv);
  args.factors = step.wkv_factors;
  args.w = b.w.View(rows, width, result);
  args.a = b.a.View(rows, width, result);
  args.g = b.g.View(rows, width, result);
  args.v_mix = OptionalView(b.v_mix, rows, w.v2, width, result);
  args.v_first = b.v_first.View(rows, width, result);
  args.y = b.y.View(rows, width, step.types.operand);
  return args;
}

}  // namespace

void TimeMixV7Buffers::Plan(const TimeMixV7Sizes& sizes, BufferPlan& plan) {
  plan.AddFloats(sizes.width, &normed);
  plan.AddFloats(sizes.width, &product);
  for (Buffer& buffer : mixed) plan.AddOperand(sizes.width, &buffer);
  for (Buffer* buffer : {&r, &k, &v, &w, &a, &g, &v_mix, &v_first}) {
    plan.AddResult(sizes.att_width, buffer);
  }
  plan.AddOperand(sizes.att_width, &y);
  for (Buffer* buffer : {&w_rank, &a_rank, &v_rank, &g_rank}) {
    plan.AddOperand(sizes.max_rank, buffer);
  }
}

absl::Status TimeMixV7(const TimeMixV7Weights& weights, const TimeMixV7State& state,
                       const Step& step, const TimeMixV7Buffers& buffers,
                       const TensorView<float>& residual) {
  TimeMixInArgs in = InArgs(weights, state, step, buffers, residual);
  in.eps = weights.norm_eps;
  RETURN_IF_ERROR(TimeMixIn(in, step.stream));
  TimeMixWkvArgs wkv = WkvArgs(weights, state, step, in, buffers);
  wkv.norm_eps = weights.group_norm_eps;
  RETURN_IF_ERROR(TimeMixWkv(wkv, step.stream));
  const auto product = buffers.product.Floats(step.rows(), weights.output.rows);
  return ProjectAdd({wkv.y,
                     weights.output,
                     {},
                     product,
                     residual,
                     step.Adapters(AdapterPlace::kOutput, weights.output.cols)},
                    step.stream);
}

}  // namespace skein
