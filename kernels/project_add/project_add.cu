#include "kernels/linear/linear.h"
#include "kernels/project_add/project_add.h"

namespace skein {

absl::Status ProjectAddCuda(const ProjectAddArgs& args, CudaContext& context) {
  const Projection product = {args.weight, args.bias,     Activation::kNone,
                              args.x,      args.residual, /*accumulate=*/true};
  return ProjectCuda({&product, 1}, context);
}

}  // namespace skein
