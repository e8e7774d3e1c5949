// Philox4x32-10: random numbers as a pure function of a key and a counter (docs/sampling.md,
// section 5).
#pragma once

#include <array>
#include <cstdint>

#include "kernels/device/host_device.h"

namespace skein {

namespace philox_internal {

// Ten rounds in place.
SKEIN_HOST_DEVICE constexpr void Mix(uint32_t (&c)[4], uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * c[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * c[2];
    c[0] = static_cast<uint32_t>(product1 >> 32) ^ c[1] ^ key0;
    c[1] = static_cast<uint32_t>(product1);
    c[2] = static_cast<uint32_t>(product0 >> 32) ^ c[3] ^ key1;
    c[3] = static_cast<uint32_t>(product0);
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
}

}  // namespace philox_internal

// The four output words of counter (step, choice) under `seed`. step: tokens drawn before this one.
constexpr std::array<uint32_t, 4> Philox(uint64_t seed, uint64_t step, uint32_t choice) {
  uint32_t c[4] = {static_cast<uint32_t>(step), static_cast<uint32_t>(step >> 32), choice, 0};
  philox_internal::Mix(c, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
  return {c[0], c[1], c[2], c[3]};
}

// The uniform number of one draw, in [0, 1), a multiple of 2^-24: from the first word.
SKEIN_HOST_DEVICE constexpr double DrawUniform(uint64_t seed, uint64_t step, uint32_t choice) {
  uint32_t c[4] = {static_cast<uint32_t>(step), static_cast<uint32_t>(step >> 32), choice, 0};
  philox_internal::Mix(c, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
  return static_cast<double>(c[0] >> 8) * 0x1p-24;
}

}  // namespace skein
