#include "kernels/head/head.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/reference.h"
#include "kernels/cpu/rows.h"
#include "kernels/device/check_args.h"
#include "kernels/linear/linear.h"

namespace skein {
namespace {

AdaptedProjection Product(const HeadArgs& args) {
  return {{args.head, {}, Activation::kNone, args.normed, args.logits}, args.adapters};
}

void NormRow(const HeadArgs& args, int64_t output) {
  const float* x = args.x.row(args.rows[output]);
  float* y = args.normed.row(output);
  const int64_t width = args.head.cols;
  if (args.norm_bias.empty()) {
    SKEIN_ISA(RmsNormRow)(x, args.norm_weight.data(), args.eps, width, y);
  } else {
    SKEIN_ISA(LayerNormRow)(x, args.norm_weight.data(), args.norm_bias.data(), args.eps, width, y);
  }
}

}  // namespace

absl::Status HeadArgs::Validate() const {
  const int64_t width = head.cols;
  return ArgsCheck("head")
      .That(rows.rank() == 1, "rows must have one dimension")
      .Shape("x", x, {x.empty() ? 0 : x.dim(0), width})
      .Shape("norm_weight", norm_weight, {width})
      .OptionalShape("norm_bias", norm_bias, {width})
      .Shape("normed", normed, {rows.dim(0), width})
      .Also("product", Product(*this).Validate())
      .status();
}

void HeadRef(const HeadArgs& args) {
  for (int64_t i = 0; i < args.rows.dim(0); ++i) {
    const float* x = args.x.row(args.rows[i]);
    float* y = args.normed.row(i);
    const int64_t width = args.head.cols;
    if (args.norm_bias.empty()) {
      RmsNormRef(x, args.norm_weight.data(), args.eps, width, y);
    } else {
      LayerNormRef(x, args.norm_weight.data(), args.norm_bias.data(), args.eps, width, y);
    }
  }
  ProjectAdaptedRef(Product(args));
}

void HeadCpu(const HeadArgs& args, ParallelFor& threads) {
  for (int64_t i = 0; i < args.rows.dim(0); ++i) NormRow(args, i);
  const AdaptedProjection product = Product(args);
  ProjectAdaptedCpu({&product, 1}, threads);
}

}  // namespace skein
