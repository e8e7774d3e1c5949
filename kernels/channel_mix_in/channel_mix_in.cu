#include "common/base/status_macros.h"
#include "kernels/channel_mix_in/channel_mix_in.h"
#include "kernels/cuda/token_shift.h"
#include "kernels/linear/gemv.h"
#include "kernels/linear/linear.h"
#include "kernels/linear/streamed_products.h"

namespace skein {

absl::Status ChannelMixInCuda(const ChannelMixInArgs& args, CudaContext& context) {
  const Projection key = {args.key, {}, Activation::kReluSquared, args.mixed, args.h};
  const NormedInput normed = {args.x,   {},         args.norm_weight,    args.norm_bias,
                              args.eps, args.shift, args.sequences.slots};
  if (args.sequences.is_decode() && CanGemvNormed(normed, {&key, 1}, context)) {
    return GemvNormed(normed, {&key, 1}, {&args.mix, 1}, context);
  }
  const TokenShift shift = {args.x,         args.norm_weight, args.norm_bias, args.eps,
                            args.sequences, args.shift,       args.normed};
  const ShiftedInput input = {args.mix, args.mixed};
  if (CanStreamShifted(shift, {&input, 1}, {&key, 1}, context)) {
    return StreamShifted(shift, {&input, 1}, {&key, 1}, context);
  }
  RETURN_IF_ERROR(TokenShiftCuda(shift, {&input, 1}, context));
  return ProjectCuda({&key, 1}, context);
}

}  // namespace skein
