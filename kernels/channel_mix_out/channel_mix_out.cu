#include "kernels/channel_mix_out/channel_mix_out.h"
#include "kernels/linear/linear.h"

namespace skein {

absl::Status ChannelMixOutCuda(const ChannelMixOutArgs& args, CUstream_st* stream) {
  return ProjectAndAddCuda({args.value, {}, Activation::kNone, args.h, args.product}, args.residual,
                           stream);
}

}  // namespace skein
