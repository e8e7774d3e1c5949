#include "worker/layers/hybrid_mix.h"

#include "common/base/status_macros.h"
#include "kernels/hybrid_wkv/hybrid_wkv.h"
#include "kernels/project_add/project_add.h"
#include "kernels/rms_project/rms_project.h"

namespace skein {
namespace {

RmsProjectArgs InArgs(const HybridMixWeights& w, const Step& step, const HybridMixBuffers& b,
                      const TensorView<float>& residual) {
  const int64_t rows = step.rows();
  RmsProjectArgs args;
  args.x = residual;
  args.norm_weight = w.norm_weight;
  args.eps = w.norm_eps;
  args.normed = b.normed.View(rows, w.receptance.cols, step.types.operand);
  const auto add = [&](const WeightMatrix& weight, const TensorView<const float>& bias,
                       const Buffer& out, AdapterPlace place) {
    const DType dtype = step.types.result(rows);
    args.outputs.push_back({weight, bias, Activation::kNone, out.View(rows, weight.rows, dtype),
                            step.Adapters(place, weight.cols)});
  };
  const auto add_rank = [&](const WeightMatrix& weight, Activation activation, const Buffer& out) {
    if (weight.empty()) return;
    const DType dtype = step.types.operand;
    args.outputs.push_back({weight, {}, activation, out.View(rows, weight.rows, dtype)});
  };
  add(w.receptance, w.receptance_bias, b.r, AdapterPlace::kReceptance);
  add(w.key, w.key_bias, b.k, AdapterPlace::kKey);
  add(w.value, w.value_bias, b.v, AdapterPlace::kValue);
  add_rank(w.w1, Activation::kTanh, b.w_rank);
  add_rank(w.a1, Activation::kNone, b.a_rank);
  add_rank(w.g1, Activation::kSigmoid, b.g_rank);
  add_rank(w.k1, Activation::kNone, b.k_rank);
  add_rank(w.v1, Activation::kNone, b.v_rank);
  return args;
}

void SetWeights(const HybridMixWeights& w, HybridWkvArgs& args) {
  args.w2 = w.w2;
  args.a2 = w.a2;
  args.g2 = w.g2;
  args.k2 = w.k2;
  args.v2 = w.v2;
  args.w0 = w.w0;
  args.a0 = w.a0;
  args.k0 = w.k0;
  args.v0 = w.v0;
  args.r_norm = w.r_norm;
  args.k_norm = w.k_norm;
  args.r_k = w.r_k;
}

void SetBuffers(const HybridMixWeights& w, const Step& step, const HybridMixBuffers& b,
                HybridWkvArgs& args) {
  const int64_t rows = step.rows();
  const DType operand = step.types.operand, result = step.types.result(rows);
  const int64_t wide = w.receptance.rows, narrow = w.key.rows;
  args.r = b.r.View(rows, wide, result);
  args.k = b.k.View(rows, narrow, result);
  args.v = b.v.View(rows, narrow, result);
  args.w_rank = b.w_rank.View(rows, w.w1.rows, operand);
  args.a_rank = b.a_rank.View(rows, w.a1.rows, operand);
  args.g_rank = b.g_rank.View(rows, w.g1.rows, operand);
  args.u = b.u.View(rows, wide, result);
  args.a = b.a.View(rows, wide, result);
  args.g = b.g.View(rows, wide, result);
  args.k_first = b.k_first.View(rows, narrow, result);
  args.v_first = b.v_first.View(rows, narrow, result);
  args.y = b.y.View(rows, wide, operand);
  if (w.k2.empty()) return;
  args.k_rank = b.k_rank.View(rows, w.k1.rows, operand);
  args.v_rank = b.v_rank.View(rows, w.v1.rows, operand);
  args.k_mix = b.k_mix.View(rows, narrow, result);
  args.v_mix = b.v_mix.View(rows, narrow, result);
}

}  // namespace

void HybridMixBuffers::Plan(const HybridMixSizes& sizes, BufferPlan& plan) {
  plan.AddOperand(sizes.width, &normed);
  plan.AddFloats(sizes.width, &product);
  for (Buffer* buffer : {&r, &u, &a, &g}) plan.AddResult(sizes.r_width, buffer);
  plan.AddOperand(sizes.r_width, &y);
  for (Buffer* buffer : {&k, &v, &k_mix, &v_mix, &k_first, &v_first}) {
    plan.AddResult(sizes.kv_width, buffer);
  }
  for (Buffer* buffer : {&w_rank, &a_rank, &g_rank, &k_rank, &v_rank}) {
    plan.AddOperand(sizes.max_rank, buffer);
  }
}

absl::Status HybridMix(const HybridMixWeights& weights, const StatePart& wkv,
                       const RopeAngles& angles, const Step& step, const HybridMixBuffers& buffers,
                       const TensorView<float>& residual) {
  RETURN_IF_ERROR(RmsProject(InArgs(weights, step, buffers, residual), step.stream));
  HybridWkvArgs args;
  SetWeights(weights, args);
  SetBuffers(weights, step, buffers, args);
  args.norm_eps = weights.norm_eps;
  args.cosines = angles.cosines;
  args.sines = angles.sines;
  args.positions = step.positions;
  args.sequences = step.sequences;
  args.state = step.State(wkv);
  args.factors = step.wkv_factors;
  RETURN_IF_ERROR(HybridWkv(args, step.stream));
  const auto product = buffers.product.Floats(step.rows(), weights.output.rows);
  return ProjectAdd({args.y, weights.output, weights.output_bias, product, residual,
                     step.Adapters(AdapterPlace::kOutput, weights.output.cols)},
                    step.stream);
}

}  // namespace skein
