#include "kernels/project_add/project_add.h"

#include "kernels/device/check_args.h"
#include "kernels/linear/linear.h"

namespace skein {
namespace {

AdaptedProjection Product(const ProjectAddArgs& args) {
  return {{args.weight, args.bias, Activation::kNone, args.x, args.product}, args.adapters};
}

}  // namespace

absl::Status ProjectAddArgs::Validate() const {
  return ArgsCheck("project_add")
      .Also("product", Product(*this).Validate())
      .Shape("residual", residual, product.shape())
      .status();
}

void ProjectAddRef(const ProjectAddArgs& args) {
  ProjectAdaptedRef(Product(args));
  for (int64_t i = 0; i < args.residual.size(); ++i) args.residual[i] += args.product[i];
}

void ProjectAddCpu(const ProjectAddArgs& args, ParallelFor& threads) {
  ProjectAdaptedAndAddCpu(Product(args), args.residual, threads);
}

}  // namespace skein
