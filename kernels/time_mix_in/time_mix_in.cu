#include "common/base/status_macros.h"
#include "kernels/cuda/token_shift.h"
#include "kernels/linear/gemv.h"
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
  const NormedInput input = {args.x,   {},         args.norm_weight,    args.norm_bias,
                             args.eps, args.shift, args.sequences.slots};
  if (args.sequences.is_decode() && CanGemvNormed(input, products, context)) {
    absl::InlinedVector<TensorView<const float>, 7> mixes;
    for (size_t i = 0; i < products.size(); ++i) mixes.push_back(args.mix[kInputs[i]]);
    return GemvNormed(input, products, mixes, context);
  }
  RETURN_IF_ERROR(TokenShiftCuda(TimeMixInShift(args), TimeMixInInputs(args), context));
  return ProjectCuda(products, context);
}

}  // namespace skein
