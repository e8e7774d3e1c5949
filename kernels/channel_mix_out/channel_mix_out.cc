#include "kernels/channel_mix_out/channel_mix_out.h"

#include "kernels/device/check_args.h"
#include "kernels/linear/linear.h"

namespace skein {
namespace {

Projection Product(const ChannelMixOutArgs& args) {
  return {args.value, {}, Activation::kNone, args.h, args.product};
}

}  // namespace

absl::Status ChannelMixOutArgs::Validate() const {
  return ArgsCheck("channel_mix_out")
      .Also("product", Product(*this).Validate())
      .Shape("residual", residual, product.shape())
      .status();
}

void ChannelMixOutCpu(const ChannelMixOutArgs& args, ParallelFor& threads) {
  ProjectAndAddCpu(Product(args), args.residual, threads);
}

}  // namespace skein
