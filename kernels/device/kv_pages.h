// The paged keys and values of one attention layer.
#pragma once

#include <cstdint>

#include "common/tensor/tensor_view.h"

namespace skein {

// Token t of sequence s is token t % page_tokens of page table[s][t / page_tokens]. The engine owns
// the pages.
struct KvPages {
  float* keys = nullptr;    // [num_pages, kv_heads, page_tokens, head_dim]
  float* values = nullptr;  // the same
  int64_t num_pages = 0;
  int64_t page_tokens = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  TensorView<const int32_t> table;  // [sequences, max_pages]

  int64_t page_elements() const { return kv_heads * page_tokens * head_dim; }
  // Where the head of a token begins, counted from `keys` or `values`. Host memory only.
  int64_t Offset(int64_t sequence, int64_t token, int64_t kv_head) const {
    const int64_t page = table.row(sequence)[token / page_tokens];
    return page * page_elements() + (kv_head * page_tokens + token % page_tokens) * head_dim;
  }
};

}  // namespace skein
