// Weights (weight.h) of several logits at once, for sums over whole rows: one multiply-add of 64
// bits adds a weight up.
#pragma once

#include <cstdint>

#include "kernels/sample/weight.h"

namespace skein::sampling {

template <int kNum>
struct Weights {
  // A weight is mantissa * power.
  uint32_t mantissa[kNum], power[kNum];

  __device__ __forceinline__ Weights(const float (&logits)[kNum], float max, float rate) {
    namespace w = weight_internal;
    constexpr int kFill = 31 - kExact;
    constexpr float kRounder = w::kRounder + kFill;  // the low bits hold n + kFill
    uint32_t places[kNum], all = 0;
#pragma unroll
    for (int j = 0; j < kNum; ++j) {
      const float distance = max - logits[j];
      const float shifted = w::Fma(distance, rate, kRounder);
      mantissa[j] = w::PowerBits(w::Fma(distance, rate, kRounder - shifted)) & kMantissa;
      all |= places[j] = w::Bits(shifted);
      // Shifted by the low five bits: 2^(kExact - n).
      power[j] = __funnelshift_r(uint32_t{1} << 31, 0, places[j]);
    }
    // Whatever exceeds kRounder + kExact has another bit set.
    constexpr uint32_t kBeyond = ~(w::kRounderBits | 31);
    if ((all & kBeyond) == 0) return;
#pragma unroll
    for (int j = 0; j < kNum; ++j) {
      const uint32_t n = places[j] - (w::kRounderBits + kFill);
      if (n <= kExact) continue;
      mantissa[j] >>= min(n - kExact, 31u);
      power[j] = 1;
    }
  }

  __device__ uint64_t Of(int j) const { return static_cast<uint64_t>(mantissa[j]) * power[j]; }
  __device__ void AddTo(uint64_t& sum, int j) const { Add(sum, mantissa[j], power[j]); }
  __device__ void AddIf(bool counts, uint64_t& sum, int j) const {
    Add(sum, mantissa[j], counts ? power[j] : 0);
  }

 private:
  static constexpr uint32_t kMantissa = (1u << 23) - 1;
  // Weights from 2^-kExact on are multiples of the unit: shifted without a loss.
  static constexpr uint32_t kExact = 23;

  // One instruction, which the compiler does not find where the factors come from two branches.
  __device__ static void Add(uint64_t& sum, uint32_t a, uint32_t b) {
    asm("mad.wide.u32 %0, %1, %2, %0;" : "+l"(sum) : "r"(a), "r"(b));
  }
};
static_assert(kWeightBits == 45);  // 22 binary places of 2^-f, and kExact more

}  // namespace skein::sampling
