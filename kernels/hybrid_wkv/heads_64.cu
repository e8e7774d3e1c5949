#include "kernels/hybrid_wkv/heads.cuh"

namespace skein {

template absl::Status HybridHeads<64>(const HybridWkvArgs& args, CudaContext& context);

}  // namespace skein
