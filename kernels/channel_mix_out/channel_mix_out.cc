#include "kernels/channel_mix_out/channel_mix_out.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/rows.h"
#include "kernels/device/check_args.h"
#include "kernels/linear/linear.h"

namespace skein {
namespace {

AdaptedProjection Product(const ChannelMixOutArgs& args) {
  return {{args.value, {}, Activation::kNone, args.h, args.product}, args.adapters};
}

}  // namespace

absl::Status ChannelMixOutArgs::Validate() const {
  return ArgsCheck("channel_mix_out")
      .Also("product", Product(*this).Validate())
      .Shape("residual", residual, product.shape())
      .That(experts.empty() || side.shape() == residual.shape(), "side: expected residual's shape")
      .That(experts.empty() || experts.back().end() <= residual.dim(0), "experts: beyond the rows")
      .status();
}

void ChannelMixOutCpu(const ChannelMixOutArgs& args, ParallelFor& threads) {
  ProjectAdaptedAndAddCpu(Product(args), args.residual, threads);
  for (const MoleSegment& segment : args.experts) {
    for (int64_t row = segment.begin; row < segment.end(); ++row) {
      SKEIN_ISA(AddRow)(args.side.row(row), nullptr, args.side.dim(1), args.residual.row(row));
    }
  }
}

}  // namespace skein
