// What the CUDA kernels of attention take: plain pointers and sizes, by value.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/dtype.h"
#include "kernels/device/cuda_context.h"

namespace skein::attention {

inline constexpr int kMaxHeadDim = 512;
inline constexpr int kMaxSequences = 4096;  // whose plan fits in shared memory

struct Call {
  const void* q = nullptr;  // [rows, heads * head_dim]
  void* y = nullptr;        // the same shape
  DType q_type = DType::kF32, y_type = DType::kF32;

  // [page][kv_heads][page_tokens][head_dim]; token t of sequence s is in page table[s * max_pages
  // + t / page_tokens].
  const void* keys = nullptr;
  const void* values = nullptr;
  DType kv_type = DType::kF32;
  const int32_t* table = nullptr;
  int max_pages = 0;
  int page_tokens = 0;

  const int32_t* positions = nullptr;  // [rows]
  const int32_t* row_begin = nullptr;  // [sequences + 1]
  const int32_t* slots = nullptr;      // [sequences], negative: skipped
  int rows = 0, max_rows = 0;          // of all sequences, of the longest
  int sequences = 0;
  int kv_heads = 0, group = 0, head_dim = 0;  // `group` query heads share a key-value head
  int64_t width = 0;                          // of a row: kv_heads * group * head_dim
  int64_t page_elements = 0;                  // kv_heads * page_tokens * head_dim
};

// Whether the tensor-core kernels below take the call: head sizes 64, 96 and 128, pages of fp16 or
// bf16 with a multiple of 8 tokens, up to 16 query heads to a key-value head and kMaxSequences.
bool OnTensorCores(const Call& call);

// Any call with heads of up to kMaxHeadDim.
absl::Status LaunchPlain(const Call& call, const CudaContext& context);
// Only the sequences with one row. Workspace: the partial sums of cut rows; rows are cut less where
// it is small. Counters: one for each sequence and key-value head. The kernel reads the index
// arrays and the tokens before the rows' own while the kernel just before it in the stream still
// runs, which must not write them, and must call DependencyWait before ReleaseDependents.
absl::Status LaunchDecode(const Call& call, const CudaContext& context);
// Only the sequences with several rows, whose positions follow each other.
absl::Status LaunchPrefill(const Call& call, const CudaContext& context);
// The same on compute capability 9.0.
absl::Status LaunchHopperPrefill(const Call& call, const CudaContext& context);

}  // namespace skein::attention
