#include "kernels/time_mix_wkv/heads.cuh"

namespace skein {

template absl::Status TimeMixHeads<float>(const TimeMixWkvArgs& args, CudaContext& context);

}  // namespace skein
