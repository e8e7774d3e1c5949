// Sixteen fp32 lanes, with the same operations and roundings on every instruction set: one 512-bit
// register, two 256-bit registers, or an array. For `*_lanes.cc` files only; all of it has internal
// linkage per instruction set.
//
// Min and Max return their second argument if either is NaN. Sums over lanes always add l and l +
// 8, then l and l + 4, l + 2, l + 1.
#pragma once

#include <cstdint>

#define SKEIN_INLINE static inline __attribute__((always_inline))

#if SKEIN_ISA_AVX512
#include "kernels/cpu/vec_avx512.h"
#elif SKEIN_ISA_AVX2
#include "kernels/cpu/vec_avx2.h"
#else
#include "kernels/cpu/vec_portable.h"
#endif

namespace skein::SKEIN_ISA_NAMESPACE {

constexpr int kLanes = 16;

SKEIN_INLINE int64_t MinOf(int64_t a, int64_t b) { return a < b ? a : b; }

// 0, 1, ... 15
SKEIN_INLINE Vec LaneIndex() {
  static const float kIndex[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return Load(kIndex);
}

// The first `count` elements at `p`, zeros behind them; any count from 1.
SKEIN_INLINE Vec LoadUpTo(const float* p, int64_t count) {
  return count >= kLanes ? Load(p) : LoadTail(p, count);
}
SKEIN_INLINE void StoreUpTo(float* p, Vec v, int64_t count) {
  if (count >= kLanes) {
    Store(p, v);
  } else {
    StoreTail(p, v, count);
  }
}

}  // namespace skein::SKEIN_ISA_NAMESPACE
