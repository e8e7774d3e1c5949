#include "common/base/status_macros.h"
#include "kernels/rms_project/rms_norm.h"
#include "kernels/rms_project/rms_project.h"

namespace skein {

absl::Status RmsProjectCuda(const RmsProjectArgs& args, CudaContext& context) {
  RETURN_IF_ERROR(RmsNormCuda({args.x, args.norm_weight, args.eps, args.normed}, context));
  absl::InlinedVector<Projection, 8> products;
  for (const RmsProjectArgs::Output& output : args.outputs) {
    products.push_back({output.weight, output.bias, output.activation, args.normed, output.y});
  }
  return ProjectCuda(products, context);
}

}  // namespace skein
