// Row-wise building blocks of the CPU bodies: one call handles one row, on the calling thread. Call
// them as SKEIN_ISA(LayerNormRow)(...). `n` is the row's length; outputs may be the same memory as
// an input.
#pragma once

#include <cstdint>

#include "kernels/cpu/isa_declare.h"

namespace skein {

// How the outputs of a product are finished, after its bias was added.
enum class Activation { kNone, kTanh, kSigmoid, kReluSquared, kDecay };

// kDecay is RWKV-7's exp(-e^(-1/2) sigmoid(x)).
SKEIN_ISA_DECLARE(
    // y = (x - mean) / sqrt(var + eps) * w + b, biased variance.
    void LayerNormRow(const float* x, const float* w, const float* b, float eps, int64_t n,
                      float* y);
    // y = x / sqrt(mean(x^2) + eps) * w
    void RmsNormRow(const float* x, const float* w, float eps, int64_t n, float* y);
    // y = x + (before - x) * mix
    void LerpRow(const float* x, const float* before, const float* mix, int64_t n, float* y);
    // y = activation(y + bias); `bias` may be null.
    void FinishRow(float* y, const float* bias, Activation activation, int64_t n);
    // y = silu(gate) * up
    void SiluMulRow(const float* gate, const float* up, int64_t n, float* y);
    // y += x + bias; `bias` may be null.
    void AddRow(const float* x, const float* bias, int64_t n, float* y);
    // Half-split rotation of one head of 2 * half channels by `half` angles.
    void RotateHead(const float* x, const float* cosines, const float* sines, int64_t half,
                    float* y);
    // Elementary functions over an array, for tests: y = exp(x), ...
    void ExpRow(const float* x, int64_t n, float* y);
    void SoftplusRow(const float* x, int64_t n, float* y);)

}  // namespace skein
