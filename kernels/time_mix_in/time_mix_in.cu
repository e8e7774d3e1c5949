#include "common/base/status_macros.h"
#include "kernels/cuda/token_shift.h"
#include "kernels/linear/gemv.h"
#include "kernels/linear/streamed_products.h"
#include "kernels/time_mix_in/products.h"

namespace skein {
namespace {

using Args = TimeMixInArgs;

// What TimeMixInProducts multiplies, in its order.
constexpr Args::Input kInputs[] = {Args::kR, Args::kK, Args::kV, Args::kW,
                                   Args::kA, Args::kG, Args::kV};

}  // namespace

absl::Status TimeMixInCuda(const TimeMixInArgs& args, CudaContext& context) {
  const auto products = TimeMixInProducts(args);
  const NormedInput normed = {args.x,   {},         args.norm_weight,    args.norm_bias,
                              args.eps, args.shift, args.sequences.slots};
  if (args.sequences.is_decode() && CanGemvNormed(normed, products, context)) {
    absl::InlinedVector<TensorView<const float>, 7> mixes;
    for (size_t i = 0; i < products.size(); ++i) mixes.push_back(args.mix[kInputs[i]]);
    return GemvNormed(normed, products, mixes, context);
  }
  const TokenShift shift = TimeMixInShift(args);
  const auto inputs = TimeMixInInputs(args);
  if (CanStreamShifted(shift, inputs, products, context)) {
    return StreamShifted(shift, inputs, products, context);
  }
  RETURN_IF_ERROR(TokenShiftCuda(shift, inputs, context));
  return ProjectCuda(products, context);
}

}  // namespace skein
