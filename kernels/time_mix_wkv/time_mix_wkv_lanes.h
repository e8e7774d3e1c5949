// One token of one head of RWKV-7 time mixing, on the calling thread.
#pragma once

#include <cstdint>

#include "kernels/cpu/isa_declare.h"

namespace skein {

// Pointers to the head's channels; all but `state` are [n].
struct TimeMixHeadCall {
  int64_t n = 0;
  const float *r = nullptr, *k = nullptr, *v = nullptr, *w = nullptr, *a = nullptr, *g = nullptr;
  const float *k_k = nullptr, *k_a = nullptr, *r_k = nullptr;
  const float* factor = nullptr;  // of the recurrence's output; null: 1
  const float *norm_weight = nullptr, *norm_bias = nullptr;
  float norm_eps = 0;
  const float* v_mix = nullptr;  // null in layer 0, which writes v_first
  float* v_first = nullptr;
  float* state = nullptr;  // [n, n]
  float* y = nullptr;
};

SKEIN_ISA_DECLARE(void TimeMixHead(const TimeMixHeadCall& call);)

}  // namespace skein
