#include "kernels/channel_mix_in/channel_mix_in.h"

#include "kernels/cpu/token_shift.h"
#include "kernels/device/check_args.h"
#include "kernels/linear/linear.h"

namespace skein {
namespace {

TokenShift Shift(const ChannelMixInArgs& args) {
  return {args.x,         args.norm_weight, args.norm_bias, args.eps,
          args.sequences, args.shift,       args.normed};
}

AdaptedProjection Key(const ChannelMixInArgs& args) {
  if (args.experts.empty()) {
    return {{args.key, {}, Activation::kReluSquared, args.mixed, args.h}, args.adapters};
  }
  return {{args.key, {}, Activation::kNone, args.mixed, args.bare}, args.adapters};
}

MoleArgs Experts(const ChannelMixInArgs& args) {
  return {args.experts, args.mixed, args.bare, args.h, args.side, args.experts_workspace};
}

}  // namespace

absl::Status ChannelMixInArgs::Validate() const {
  const int64_t width = key.cols;
  const Shape rows = {x.empty() ? 0 : x.dim(0), width};
  return ArgsCheck("channel_mix_in")
      .Shape("x", x, rows)
      .Shape("norm_weight", norm_weight, {width})
      .Shape("norm_bias", norm_bias, {width})
      .Shape("mix", mix, {width})
      .Shape("normed", normed, rows)
      .That(sequences.row_begin.dim(0) == sequences.count() + 1, "row_begin does not fit slots")
      .That(shift.base != nullptr, "shift: missing")
      .Also("key", Key(*this).Validate())
      .Also("experts", experts.empty() ? absl::OkStatus() : Experts(*this).Validate())
      .status();
}

void ChannelMixInRef(const ChannelMixInArgs& args) {
  const ShiftedInput input = {args.mix, args.mixed};
  TokenShiftRef(Shift(args), {&input, 1});
  ProjectAdaptedRef(Key(args));
  if (!args.experts.empty()) MoleRef(Experts(args));
}

void ChannelMixInCpu(const ChannelMixInArgs& args, ParallelFor& threads) {
  const ShiftedInput input = {args.mix, args.mixed};
  TokenShiftCpu(Shift(args), {&input, 1}, threads);
  const AdaptedProjection key = Key(args);
  ProjectAdaptedCpu({&key, 1}, threads);
  if (!args.experts.empty()) MoleCpu(Experts(args), threads);
}

}  // namespace skein
