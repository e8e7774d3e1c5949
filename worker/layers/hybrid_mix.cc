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
  args.normed = b.normed.View(rows, w.receptance.cols);
  const auto add = [&](const WeightMatrix& weight, const TensorView<const float>& bias,
                       Activation activation, const Buffer& out) {
    if (weight.empty()) return;
    args.outputs.push_back({weight, bias, activation, out.View(rows, weight.rows)});
  };
  add(w.receptance, w.receptance_bias, Activation::kNone, b.r);
  add(w.key, w.key_bias, Activation::kNone, b.k);
  add(w.value, w.value_bias, Activation::kNone, b.v);
  add(w.w1, {}, Activation::kTanh, b.w_rank);
  add(w.a1, {}, Activation::kNone, b.a_rank);
  add(w.g1, {}, Activation::kSigmoid, b.g_rank);
  add(w.k1, {}, Activation::kNone, b.k_rank);
  add(w.v1, {}, Activation::kNone, b.v_rank);
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

void SetBuffers(const HybridMixWeights& w, int64_t rows, const HybridMixBuffers& b,
                HybridWkvArgs& args) {
  const int64_t wide = w.receptance.rows, narrow = w.key.rows;
  args.r = b.r.View(rows, wide);
  args.k = b.k.View(rows, narrow);
  args.v = b.v.View(rows, narrow);
  args.w_rank = b.w_rank.View(rows, w.w1.rows);
  args.a_rank = b.a_rank.View(rows, w.a1.rows);
  args.g_rank = b.g_rank.View(rows, w.g1.rows);
  args.u = b.u.View(rows, wide);
  args.a = b.a.View(rows, wide);
  args.g = b.g.View(rows, wide);
  args.k_first = b.k_first.View(rows, narrow);
  args.v_first = b.v_first.View(rows, narrow);
  args.y = b.y.View(rows, wide);
  if (w.k2.empty()) return;
  args.k_rank = b.k_rank.View(rows, w.k1.rows);
  args.v_rank = b.v_rank.View(rows, w.v1.rows);
  args.k_mix = b.k_mix.View(rows, narrow);
  args.v_mix = b.v_mix.View(rows, narrow);
}

}  // namespace

void HybridMixBuffers::Plan(const HybridMixSizes& sizes, BufferPlan& plan) {
  for (Buffer* buffer : {&normed, &product}) plan.Add(sizes.width, buffer);
  for (Buffer* buffer : {&r, &u, &a, &g, &y}) plan.Add(sizes.r_width, buffer);
  for (Buffer* buffer : {&k, &v, &k_mix, &v_mix, &k_first, &v_first}) {
    plan.Add(sizes.kv_width, buffer);
  }
  for (Buffer* buffer : {&w_rank, &a_rank, &g_rank, &k_rank, &v_rank}) {
    plan.Add(sizes.max_rank, buffer);
  }
}

absl::Status HybridMix(const HybridMixWeights& weights, int64_t wkv, const RopeAngles& angles,
                       const Step& step, const HybridMixBuffers& buffers,
                       const TensorView<float>& residual) {
  RETURN_IF_ERROR(RmsProject(InArgs(weights, step, buffers, residual), step.stream));
  HybridWkvArgs args;
  SetWeights(weights, args);
  SetBuffers(weights, step.rows(), buffers, args);
  args.norm_eps = weights.norm_eps;
  args.cosines = angles.cosines;
  args.sines = angles.sines;
  args.sequences = step.sequences;
  args.state = step.State(wkv);
  RETURN_IF_ERROR(HybridWkv(args, step.stream));
  const auto product = buffers.product.View(step.rows(), weights.output.rows);
  return ProjectAdd({args.y, weights.output, weights.output_bias, product, residual}, step.stream);
}

}  // namespace skein
