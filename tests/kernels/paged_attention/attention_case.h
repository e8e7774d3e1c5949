// Random arguments of attention over pages.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/device/kv_pages.h"
#include "kernels/paged_attention/paged_attention.h"
#include "tests/testing/op_testing.h"

namespace skein {

struct AttentionSizes {
  int64_t heads, kv_heads, n;
  std::vector<int32_t> seen, lengths;  // tokens before the step, and rows in it, per sequence
  int64_t page_tokens;
  bool float_queries = false;  // else in the operand type, as in large steps
};

// Pages in the operand type, scattered over the pool; memory that no token uses is NaN.
KvPages AttentionPages(TestTensors& t, const AttentionSizes& s);
// The tokens seen and those of the step are in the pages.
PagedAttentionArgs MakeAttention(TestTensors& t, const AttentionSizes& s);

}  // namespace skein
