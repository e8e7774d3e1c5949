// Attention of one row for the query heads of one key-value head, on the calling thread.
#pragma once

#include <cstdint>

#include "kernels/cpu/isa_declare.h"

namespace skein {

inline constexpr int64_t kMaxHeadGroup = 256;

struct AttentionCall {
  int64_t head_dim = 0;
  int64_t heads = 0;   // query heads, at most kMaxHeadGroup
  int64_t tokens = 0;  // keys that the row sees
  float scale = 0;
  const float* q = nullptr;  // [heads, head_dim]
  // The key of token t begins at keys + pages[t / page_tokens] * page_stride + t % page_tokens *
  // head_dim.
  const float *keys = nullptr, *values = nullptr;
  const int32_t* pages = nullptr;
  int64_t page_tokens = 0;
  int64_t page_stride = 0;
  float* y = nullptr;  // [heads, head_dim]
};

SKEIN_ISA_DECLARE(void AttendRow(const AttentionCall& call);)

}  // namespace skein
