#include "kernels/time_mix_in/time_mix_in.h"

#include "kernels/device/check_args.h"
#include "kernels/time_mix_in/products.h"

namespace skein {

using Args = TimeMixInArgs;

TokenShift TimeMixInShift(const Args& args) {
  return {args.x,         args.norm_weight, args.norm_bias, args.eps,
          args.sequences, args.shift,       args.normed};
}

absl::InlinedVector<ShiftedInput, Args::kNumInputs> TimeMixInInputs(const Args& args) {
  absl::InlinedVector<ShiftedInput, Args::kNumInputs> inputs;
  for (int i = 0; i < Args::kNumInputs; ++i) inputs.push_back({args.mix[i], args.mixed[i]});
  return inputs;
}

absl::InlinedVector<Projection, 7> TimeMixInProducts(const Args& args) {
  absl::InlinedVector<Projection, 7> all = {
      {args.receptance, {}, Activation::kNone, args.mixed[Args::kR], args.r},
      {args.key, {}, Activation::kNone, args.mixed[Args::kK], args.k},
      {args.value, {}, Activation::kNone, args.mixed[Args::kV], args.v},
      {args.w1, {}, Activation::kTanh, args.mixed[Args::kW], args.w_rank},
      {args.a1, {}, Activation::kNone, args.mixed[Args::kA], args.a_rank},
      {args.g1, {}, Activation::kSigmoid, args.mixed[Args::kG], args.g_rank},
  };
  if (!args.v1.empty()) {
    all.push_back({args.v1, {}, Activation::kNone, args.mixed[Args::kV], args.v_rank});
  }
  return all;
}

namespace {

absl::InlinedVector<AdaptedProjection, 7> AdaptedProducts(const Args& args) {
  const auto products = TimeMixInProducts(args);
  absl::InlinedVector<AdaptedProjection, 7> all(products.size());
  for (size_t i = 0; i < products.size(); ++i) all[i].projection = products[i];
  all[0].adapters = args.r_adapters;
  all[1].adapters = args.k_adapters;
  all[2].adapters = args.v_adapters;
  return all;
}

}  // namespace

absl::Status TimeMixInArgs::Validate() const {
  const int64_t rows = x.empty() ? 0 : x.dim(0);
  const int64_t width = receptance.cols;
  ArgsCheck check("time_mix_in");
  check.Shape("x", x, {rows, width})
      .Shape("norm_weight", norm_weight, {width})
      .Shape("norm_bias", norm_bias, {width})
      .Shape("normed", normed, {rows, width})
      .That(sequences.row_begin.dim(0) == sequences.count() + 1, "row_begin does not fit slots")
      .That(shift.base != nullptr, "shift: missing")
      .That(v1.empty() == v_rank.empty(), "v1 and v_rank come together");
  for (int i = 0; i < kNumInputs; ++i) {
    check.Shape("mix", mix[i], {width}).Shape("mixed", mixed[i], {rows, width});
  }
  for (const AdaptedProjection& p : AdaptedProducts(*this)) check.Also("product", p.Validate());
  return check.status();
}

void TimeMixInRef(const TimeMixInArgs& args) {
  TokenShiftRef(TimeMixInShift(args), TimeMixInInputs(args));
  for (const AdaptedProjection& p : AdaptedProducts(args)) ProjectAdaptedRef(p);
}

void TimeMixInCpu(const TimeMixInArgs& args, ParallelFor& threads) {
  TokenShiftCpu(TimeMixInShift(args), TimeMixInInputs(args), threads);
  ProjectAdaptedCpu(AdaptedProducts(args), threads);
}

}  // namespace skein
