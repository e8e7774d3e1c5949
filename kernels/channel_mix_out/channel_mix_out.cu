#include "kernels/channel_mix_out/channel_mix_out.h"
#include "kernels/linear/linear.h"

namespace skein {

absl::Status ChannelMixOutCuda(const ChannelMixOutArgs& args, CudaContext& context) {
  const Projection product = {args.value,         {}, Activation::kNone, args.h, args.residual,
                              /*accumulate=*/true};
  return ProjectCuda({&product, 1}, context);
}

}  // namespace skein
