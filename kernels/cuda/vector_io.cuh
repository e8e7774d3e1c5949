// Several neighbouring elements at a time, between memory and registers.
#pragma once

#include <cstdint>

#include "kernels/cuda/math.cuh"

namespace skein::cuda {

template <int kBytes>
struct BytesOf;
template <>
struct BytesOf<2> {
  using Type = uint16_t;
};
template <>
struct BytesOf<4> {
  using Type = uint32_t;
};
template <>
struct BytesOf<8> {
  using Type = uint2;
};
template <>
struct BytesOf<16> {
  using Type = uint4;
};

// C elements of one type as they lie in memory. C * sizeof(T) is 2, 4, 8 or a multiple of 16 bytes,
// and memory is aligned to that, or to 16 bytes.
template <typename T, int C>
struct alignas(C * sizeof(T) < 16 ? C * sizeof(T) : 16) Packed {
  static constexpr int kWordBytes = C * sizeof(T) < 16 ? C * sizeof(T) : 16;
  static constexpr int kWords = C * sizeof(T) / kWordBytes;
  using Word = typename BytesOf<kWordBytes>::Type;

  T values[C];

  __device__ void Load(const T* from) {
#pragma unroll
    for (int i = 0; i < kWords; ++i) words()[i] = reinterpret_cast<const Word*>(from)[i];
  }
  // For data that is read once and not again soon.
  __device__ void LoadStreaming(const T* from) {
#pragma unroll
    for (int i = 0; i < kWords; ++i) words()[i] = __ldcs(reinterpret_cast<const Word*>(from) + i);
  }
  __device__ void Store(T* to) const {
#pragma unroll
    for (int i = 0; i < kWords; ++i) reinterpret_cast<Word*>(to)[i] = words()[i];
  }
  __device__ Word* words() { return reinterpret_cast<Word*>(values); }
  __device__ const Word* words() const { return reinterpret_cast<const Word*>(values); }
};

// Pairs, which the hardware converts together.
__device__ inline float2 Widen2(__half2 x) { return __half22float2(x); }
__device__ inline float2 Widen2(__nv_bfloat162 x) { return __bfloat1622float2(x); }

template <typename T, int C>
__device__ inline void Widen(const Packed<T, C>& from, float (&to)[C]) {
#pragma unroll
  for (int i = 0; i < C; ++i) to[i] = Widen(from.values[i]);
}

template <typename T, int C>
__device__ inline void LoadTo(float (&to)[C], const T* from) {
  Packed<T, C> packed;
  packed.Load(from);
  Widen(packed, to);
}

template <typename T, int C>
__device__ inline void StoreFrom(T* to, const float (&from)[C]) {
  Packed<T, C> packed;
#pragma unroll
  for (int j = 0; j < C; ++j) packed.values[j] = Narrow<T>(from[j]);
  packed.Store(to);
}

// Elements [i, i + C), where i is a multiple of C, of a type that is known at run time. (Loads of
// such a type would wait for each other: every branch has its conversion.)
template <int C>
__device__ inline void Store(const MutableElements& to, int64_t i, const float (&from)[C]) {
  if (to.dtype == DType::kF32) {
    StoreFrom(static_cast<float*>(to.data) + i, from);
  } else if (to.dtype == DType::kF16) {
    StoreFrom(static_cast<__half*>(to.data) + i, from);
  } else {
    StoreFrom(static_cast<__nv_bfloat16*>(to.data) + i, from);
  }
}

}  // namespace skein::cuda
