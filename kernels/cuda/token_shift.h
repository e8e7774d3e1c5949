// Layer norm and token shift on the GPU: the CUDA body of how both halves of an RWKV layer begin.
#pragma once

#include <span>

#include "absl/status/status.h"

#include "kernels/cpu/token_shift.h"

namespace skein {

struct CudaContext;

// At most eight inputs.
absl::Status TokenShiftCuda(const TokenShift& args, std::span<const ShiftedInput> inputs,
                            CudaContext& context);

}  // namespace skein
