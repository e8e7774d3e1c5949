#include "kernels/linear/linear.h"
#include "kernels/project_add/project_add.h"

namespace skein {

absl::Status ProjectAddCuda(const ProjectAddArgs& args, CUstream_st* stream) {
  return ProjectAndAddCuda({args.weight, args.bias, Activation::kNone, args.x, args.product},
                           args.residual, stream);
}

}  // namespace skein
