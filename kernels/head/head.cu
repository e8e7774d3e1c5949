#include "common/base/status_macros.h"
#include "kernels/cuda/norm_rows.h"
#include "kernels/head/head.h"
#include "kernels/linear/gemv.h"
#include "kernels/linear/linear.h"

namespace skein {

absl::Status HeadCuda(const HeadArgs& args, CudaContext& context) {
  if (args.rows.dim(0) == 0) return absl::OkStatus();
  const Projection product = {args.head, {}, Activation::kNone, args.normed, args.logits};
  const NormedInput input = {args.x, args.rows, args.norm_weight, args.norm_bias, args.eps, {}, {}};
  if (CanGemvNormed(input, {&product, 1}, context)) {
    return GemvNormed(input, {&product, 1}, {}, context);
  }
  RETURN_IF_ERROR(NormRowsCuda(
      {args.x, args.rows, args.norm_weight, args.norm_bias, args.eps, args.normed}, context));
  return ProjectCuda({&product, 1}, context);
}

}  // namespace skein
