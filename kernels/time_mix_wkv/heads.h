// The heads of time mixing on the GPU, after the products.
#pragma once

#include "absl/status/status.h"

#include "kernels/time_mix_wkv/time_mix_wkv.h"

namespace skein {

struct CudaContext;

// `In` is the element type of r, k, v, w, a, g, v_mix and v_first: float, __half or __nv_bfloat16.
// The decay is given before its activation. Each type is compiled in a file of its own.
template <typename In>
absl::Status TimeMixHeads(const TimeMixWkvArgs& args, CudaContext& context);

}  // namespace skein
