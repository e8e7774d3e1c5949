#include "kernels/time_mix_wkv/heads.cuh"

namespace skein {

template absl::Status TimeMixHeads<__nv_bfloat16>(const TimeMixWkvArgs& args, CudaContext& context);

}  // namespace skein
