// The weight of a logit in a distribution, as an integer: sums of weights are the same in any order
// and on any processor, and with them thresholds and draws.
#pragma once

#include <cstdint>

#include "kernels/device/host_device.h"

namespace skein {

// A weight of 1 is 2^kWeightBits. Sums over a vocabulary of up to kMaxSampleVocab fit in 64 bits.
inline constexpr int kWeightBits = 45;
inline constexpr int64_t kMaxSampleVocab = int64_t{1} << 18;
inline constexpr double kWeightUnit = 1.0 / static_cast<double>(uint64_t{1} << kWeightBits);

namespace weight_internal {

inline constexpr float kLog2E = 1.44269504f;
// Added to a number below 2^22, it leaves the nearest integer in the low bits.
inline constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23
inline constexpr uint32_t kRounderBits = 0x4B400000;

// One rounding on every processor, and never merged with what stands around it.
SKEIN_HOST_DEVICE inline __attribute__((always_inline)) float Fma(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
  return __fmaf_rn(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}

SKEIN_HOST_DEVICE inline __attribute__((always_inline)) uint32_t Bits(float x) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(x);
#else
  return __builtin_bit_cast(uint32_t, x);
#endif
}

// The bits of 2 + 2^-f for |f| <= 1/2, which lies between 2.7 and 3.5: those of the mantissa are
// 2^-f * 2^22.
SKEIN_HOST_DEVICE inline __attribute__((always_inline)) uint32_t PowerBits(float f) {
  float power = -1.32647270e-3f;
  power = Fma(power, f, 9.67151274e-3f);
  power = Fma(power, f, -5.55073373e-2f);
  power = Fma(power, f, 2.40222421e-1f);
  power = Fma(power, f, -6.93146978e-1f);
  power = Fma(power, f, 3.0f);
  return Bits(power);
}

}  // namespace weight_internal

// What Weight takes for exp((logit - max) * scale).
SKEIN_HOST_DEVICE inline float WeightRate(float scale) { return scale * weight_internal::kLog2E; }

// exp((logit - max) * scale) in units of 2^-kWeightBits, for logit <= max; zero far below it.
// Relative error below 3e-7 + 8e-8 (max - logit) scale, plus one unit: 2^-n times a polynomial for
// 2^-f, |f| <= 1/2, which is rounded to 22 binary places.
SKEIN_HOST_DEVICE inline __attribute__((always_inline)) uint64_t Weight(float logit, float max,
                                                                        float rate) {
  using weight_internal::Fma;
  const float distance = max - logit;
  const float shifted = Fma(distance, rate, weight_internal::kRounder);
  const uint32_t power =
      weight_internal::PowerBits(Fma(distance, rate, weight_internal::kRounder - shifted));
  // Shifting out exponent and integer part leaves 2^-f * 2^31.
  const uint64_t fraction = static_cast<uint64_t>(power << 9) << (kWeightBits - 31);
  // The bits of `shifted` grow with it: for all distances, infinity included, n is exact or large.
  const uint32_t n = weight_internal::Bits(shifted) - weight_internal::kRounderBits;
  return fraction >> (n < 63 ? n : 63);
}

}  // namespace skein
