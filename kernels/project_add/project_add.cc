#include "kernels/project_add/project_add.h"

#include "kernels/device/check_args.h"
#include "kernels/linear/linear.h"

namespace skein {
namespace {

Projection Product(const ProjectAddArgs& args) {
  return {args.weight, args.bias, Activation::kNone, args.x, args.product};
}

}  // namespace

absl::Status ProjectAddArgs::Validate() const {
  return ArgsCheck("project_add")
      .Also("product", Product(*this).Validate())
      .Shape("residual", residual, product.shape())
      .status();
}

void ProjectAddRef(const ProjectAddArgs& args) {
  ProjectRef(Product(args));
  for (int64_t i = 0; i < args.residual.size(); ++i) args.residual[i] += args.product[i];
}

void ProjectAddCpu(const ProjectAddArgs& args, ParallelFor& threads) {
  ProjectAndAddCpu(Product(args), args.residual, threads);
}

}  // namespace skein
