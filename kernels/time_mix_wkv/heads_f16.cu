#include "kernels/time_mix_wkv/heads.cuh"

namespace skein {

template absl::Status TimeMixHeads<__half>(const TimeMixWkvArgs& args, CudaContext& context);

}  // namespace skein
