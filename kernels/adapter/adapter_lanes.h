// Row-wise arithmetic of adapters: one call handles one row, on the calling thread.
#pragma once

#include <cstdint>

#include "kernels/cpu/isa_declare.h"

namespace skein {

SKEIN_ISA_DECLARE(
    // y = x * c
    void ScaleRow(const float* x, const float* c, int64_t n, float* y);
    // y = y + s * x, each step one fused multiply-add.
    void AddScaledRow(const float* x, float s, int64_t n, float* y);
    // y = (y + s * x) * c
    void AddScaledThenScaleRow(const float* x, float s, const float* c, int64_t n, float* y);)

}  // namespace skein
