// One token of one head of a hybrid's RWKV layer, on the calling thread.
#pragma once

#include <cstdint>

#include "kernels/cpu/isa_declare.h"

namespace skein {

// Pointers to the channels of a head, or of the key-value head that it shares; [n] where nothing is
// said.
struct HybridHeadCall {
  int64_t n = 0;
  const float *r = nullptr, *k = nullptr, *v = nullptr;
  const float *u = nullptr, *a = nullptr, *g = nullptr, *r_k = nullptr;
  const float* factor = nullptr;                     // of the recurrence's output; null: 1
  const float *r_norm = nullptr, *k_norm = nullptr;  // may be null
  float norm_eps = 0;
  const float *cosines = nullptr, *sines = nullptr;  // [n / 2]
  const float *k_mix = nullptr, *v_mix = nullptr;    // null in the first RWKV layer
  float *k_first = nullptr, *v_first = nullptr;
  bool publish =
      false;  // write k_first and v_first: one head of each group, in the first RWKV layer
  float* state = nullptr;  // [n, n]
  float* y = nullptr;
};

SKEIN_ISA_DECLARE(void HybridHead(const HybridHeadCall& call);)

}  // namespace skein
