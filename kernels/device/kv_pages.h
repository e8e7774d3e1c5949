// The paged keys and values of one attention layer.
#pragma once

#include <cstdint>

#include "common/base/check.h"
#include "common/tensor/dtype.h"
#include "common/tensor/tensor_view.h"

namespace skein {

// Token t of sequence s is token t % page_tokens of page table[s][t / page_tokens]. The engine owns
// the pages.
struct KvPages {
  void* keys = nullptr;       // [num_pages, kv_heads, page_tokens, head_dim]
  void* values = nullptr;     // the same
  DType dtype = DType::kF32;  // of both; on CUDA also fp16 or bf16
  int64_t num_pages = 0;
  int64_t page_tokens = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  TensorView<const int32_t> table;  // [sequences, max_pages]

  // Of fp32 pages.
  float* key_floats() const { return Floats(keys); }
  float* value_floats() const { return Floats(values); }

  int64_t page_elements() const { return kv_heads * page_tokens * head_dim; }
  // Where the head of a token begins, counted from `keys` or `values`. Host memory only.
  int64_t Offset(int64_t sequence, int64_t token, int64_t kv_head) const {
    const int64_t page = table.row(sequence)[token / page_tokens];
    return page * page_elements() + (kv_head * page_tokens + token % page_tokens) * head_dim;
  }

 private:
  float* Floats(void* pages) const {
    SKEIN_CHECK(dtype == DType::kF32);
    return static_cast<float*>(pages);
  }
};

}  // namespace skein
