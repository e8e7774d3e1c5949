// Layer norm and token shift on the GPU: the CUDA body of how both halves of an RWKV layer begin.
#pragma once

#include <span>

#include "absl/status/status.h"

#include "kernels/cpu/token_shift.h"

struct CUstream_st;

namespace skein {

// At most eight inputs.
absl::Status TokenShiftCuda(const TokenShift& args, std::span<const ShiftedInput> inputs,
                            CUstream_st* stream);

}  // namespace skein
