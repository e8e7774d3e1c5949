// One token of one head of the RWKV-7 recurrence, on the calling thread.
#pragma once

#include <cstdint>

#include "kernels/cpu/isa_declare.h"

namespace skein {

inline constexpr int64_t kMaxHeadSize = 512;
// Vectors of a head are given padded with zeros to whole groups of lanes.
constexpr int64_t PaddedHead(int64_t n) { return (n + 15) / 16 * 16; }

struct Wkv7StepCall {
  int64_t n = 0;
  const float *r = nullptr, *w = nullptr, *k = nullptr, *q = nullptr,
              *b = nullptr;  // [PaddedHead(n)]
  const float* v = nullptr;  // [n]
  float* state = nullptr;    // [n, n]
  float* y = nullptr;        // [n]
};

SKEIN_ISA_DECLARE(void Wkv7Step(const Wkv7StepCall& call);)

}  // namespace skein
