// Tiles of paged keys and values in shared memory, and the warp-wide matrix products over them.
// Compute capability 8.0 and up.
#pragma once

#include <cstdint>
#include <type_traits>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "common/tensor/dtype.h"
#include "kernels/paged_attention/attention_call.h"

namespace skein::attention {

inline constexpr int kLanes = 32;
inline constexpr unsigned kAll = 0xffffffffu;
inline constexpr int kGroupTokens = 8;  // tokens that surely share a page

// 16 bytes from global to shared memory; zeros where `valid` is false. The copies of a thread
// complete in groups, in order.
__device__ inline void CopyAsync(uint32_t to, const void* from, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(to), "l"(from),
               "r"(valid ? 16 : 0));
}
__device__ inline void CommitCopies() { asm volatile("cp.async.commit_group;\n" ::); }
// Until at most kLeft groups of this thread are under way.
template <int kLeft>
__device__ inline void WaitCopies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kLeft) : "memory");
}

__device__ inline void LoadMatrices(uint32_t from, uint32_t (&to)[4]) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(from)
               : "memory");
}
__device__ inline void LoadMatricesTransposed(uint32_t from, uint32_t (&to)[4]) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(from)
               : "memory");
}

// c += a b for 16 rows, 8 columns and 16 terms.
__device__ inline void MultiplyAdd(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                                   __half) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};\n"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ inline void MultiplyAdd(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                                   __nv_bfloat16) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};\n"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ inline uint32_t Pack(float low, float high, __half) {
  const __half2 pair = __floats2half2_rn(low, high);
  return reinterpret_cast<const uint32_t&>(pair);
}
__device__ inline uint32_t Pack(float low, float high, __nv_bfloat16) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return reinterpret_cast<const uint32_t&>(pair);
}

// 2^x, flushing tiny results to zero.
__device__ inline float Exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
  return y;
}

// Two neighbouring elements of activations, as the pages' type.
template <typename T>
__device__ inline uint32_t LoadPair(const void* data, DType type, int64_t at) {
  if (type == DType::kF32) {
    const float2 pair = *reinterpret_cast<const float2*>(static_cast<const float*>(data) + at);
    return Pack(pair.x, pair.y, T{});
  }
  const uint32_t bits = *reinterpret_cast<const uint32_t*>(static_cast<const uint16_t*>(data) + at);
  constexpr DType kSame = std::is_same_v<T, __half> ? DType::kF16 : DType::kBF16;
  if (type == kSame) return bits;
  if (type == DType::kF16) {
    const float2 pair = __half22float2(reinterpret_cast<const __half2&>(bits));
    return Pack(pair.x, pair.y, T{});
  }
  const float2 pair = __bfloat1622float2(reinterpret_cast<const __nv_bfloat162&>(bits));
  return Pack(pair.x, pair.y, T{});
}

// Stores two neighbouring elements, converted.
__device__ inline void StorePair(void* data, DType type, int64_t at, float x, float y) {
  if (type == DType::kF32) {
    *reinterpret_cast<float2*>(static_cast<float*>(data) + at) = make_float2(x, y);
  } else {
    *reinterpret_cast<uint32_t*>(static_cast<uint16_t*>(data) + at) =
        type == DType::kF16 ? Pack(x, y, __half{}) : Pack(x, y, __nv_bfloat16{});
  }
}

// The queries of a warp's 16 rows as an operand of products: those that begin at elements `at[0]`
// and `at[1]` for the rows lane / 4 and lane / 4 + 8; zeros where `at` is negative.
template <typename T, int kN>
__device__ inline void LoadQueries(const Call& call, const int64_t (&at)[2],
                                   uint32_t (&q)[kN / 16][4]) {
  const int column = threadIdx.x % 4 * 2;
#pragma unroll
  for (int j = 0; j < kN / 16; ++j) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int64_t row = at[i % 2];
      q[j][i] = row < 0 ? 0 : LoadPair<T>(call.q, call.q_type, row + j * 16 + i / 2 * 8 + column);
    }
  }
}

// Rows of kN elements of 16 bits, one token each, their 16-byte chunks permuted so that eight
// consecutive rows at one chunk lie in different banks.
template <int kN>
struct TileRows {
  static constexpr int kChunks = kN / 8;
  static constexpr int kRowBytes = kN * 2;
  static_assert(kN == 64 || kN == 96 || kN == 128);

  __device__ static uint32_t Offset(int row, int chunk) {
    // 96 elements are 12 chunks: consecutive rows begin 4 banks-of-16-bytes apart, so two bits of
    // the row are left to be mixed in.
    const int mix = kN == 96 ? (row >> 1) & 3 : row & 7;
    return row * kRowBytes + ((chunk ^ mix) << 4);
  }
};

// Where the tokens of one sequence and key-value head lie. The lanes of a warp hold the places of
// 32 groups of 8 tokens, and hand them round.
struct PageCursor {
  static constexpr int kWindow = kLanes * kGroupTokens;

  const int32_t* pages = nullptr;  // of the sequence
  int64_t head_offset = 0;         // elements from a page's begin to the head's
  int tokens = 0;                  // that may be read
  int window = -1;
  int64_t mine = 0;  // element offset of group `lane` of the window

  __device__ void Start(const Call& call, int sequence, int kv_head, int num_tokens) {
    pages = call.table + static_cast<int64_t>(sequence) * call.max_pages;
    head_offset = static_cast<int64_t>(kv_head) * call.page_tokens * call.head_dim;
    tokens = num_tokens;
    window = -1;
  }
  // Makes the places of the window with `token` known. Whole warps, uniform arguments.
  __device__ void Seek(const Call& call, int token) {
    if (token / kWindow == window) return;
    window = token / kWindow;
    const int first = window * kWindow + static_cast<int>(threadIdx.x) % kLanes * kGroupTokens;
    mine = 0;
    if (first >= tokens) return;
    mine = pages[first / call.page_tokens] * call.page_elements + head_offset +
           static_cast<int64_t>(first % call.page_tokens) * call.head_dim;
  }
  // Element offset of `token`'s head; `token` may differ between lanes, all in the window.
  __device__ int64_t At(const Call& call, int token) const {
    const int64_t group = __shfl_sync(kAll, mine, token % kWindow / kGroupTokens);
    return group + static_cast<int64_t>(token % kGroupTokens) * call.head_dim;
  }
};

}  // namespace skein::attention
