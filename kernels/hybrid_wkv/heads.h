// The heads of a hybrid's RWKV layer on the GPU, after the products.
#pragma once

#include "absl/status/status.h"

#include "kernels/hybrid_wkv/hybrid_wkv.h"

namespace skein {

struct CudaContext;

// For heads of N channels: 64, 96 or 128. Each size is compiled in a file of its own.
template <int N>
absl::Status HybridHeads(const HybridWkvArgs& args, CudaContext& context);

}  // namespace skein
