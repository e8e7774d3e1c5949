#include "kernels/rms_project/rms_project.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/reference.h"
#include "kernels/device/check_args.h"

namespace skein {
namespace {

absl::InlinedVector<AdaptedProjection, 8> Products(const RmsProjectArgs& args) {
  absl::InlinedVector<AdaptedProjection, 8> all;
  for (const RmsProjectArgs::Output& output : args.outputs) {
    all.push_back(
        {{output.weight, output.bias, output.activation, args.normed, output.y}, output.adapters});
  }
  return all;
}

}  // namespace

absl::Status RmsProjectArgs::Validate() const {
  const int64_t width = norm_weight.empty() ? 0 : norm_weight.dim(0);
  const Shape rows = {x.empty() ? 0 : x.dim(0), width};
  ArgsCheck check("rms_project");
  check.Shape("x", x, rows).Shape("normed", normed, rows);
  for (const AdaptedProjection& p : Products(*this)) check.Also("product", p.Validate());
  return check.status();
}

void RmsProjectRef(const RmsProjectArgs& args) {
  for (int64_t m = 0; m < args.x.dim(0); ++m) {
    RmsNormRef(args.x.row(m), args.norm_weight.data(), args.eps, args.x.dim(1), args.normed.row(m));
  }
  for (const AdaptedProjection& p : Products(args)) ProjectAdaptedRef(p);
}

void RmsProjectCpu(const RmsProjectArgs& args, ParallelFor& threads) {
  threads.Run(args.x.dim(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      SKEIN_ISA(RmsNormRow)
      (args.x.row(m), args.norm_weight.data(), args.eps, args.x.dim(1), args.normed.row(m));
    }
  });
  ProjectAdaptedCpu(Products(args), threads);
}

}  // namespace skein
