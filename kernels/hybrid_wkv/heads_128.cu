#include "kernels/hybrid_wkv/heads.cuh"

namespace skein {

template absl::Status HybridHeads<128>(const HybridWkvArgs& args, CudaContext& context);

}  // namespace skein
