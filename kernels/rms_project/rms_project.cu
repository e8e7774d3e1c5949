#include "common/base/status_macros.h"
#include "kernels/cuda/norm_rows.h"
#include "kernels/linear/gemv.h"
#include "kernels/rms_project/rms_project.h"

namespace skein {

absl::Status RmsProjectCuda(const RmsProjectArgs& args, CudaContext& context) {
  absl::InlinedVector<Projection, 8> products;
  for (const RmsProjectArgs::Output& output : args.outputs) {
    products.push_back({output.weight, output.bias, output.activation, args.normed, output.y});
  }
  const NormedInput input = {args.x, {}, args.norm_weight, {}, args.eps, {}, {}};
  if (CanGemvNormed(input, products, context)) return GemvNormed(input, products, {}, context);
  RETURN_IF_ERROR(NormRowsCuda({args.x, {}, args.norm_weight, {}, args.eps, args.normed}, context));
  return ProjectCuda(products, context);
}

}  // namespace skein
