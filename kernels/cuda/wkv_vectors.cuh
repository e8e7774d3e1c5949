// The vectors that the RWKV-7 recurrence reads for one token of one head, as a warp holds them.
#pragma once

#include <cstdint>

#include "kernels/cuda/vector_io.cuh"

namespace skein::cuda {

// Key channels go to lanes in pairs: pair p, channels 2p and 2p + 1, to lane p % 32.
template <int N>
struct KeyPairs {
  static constexpr int kCount = (N / 2 + kWarp - 1) / kWarp;  // pairs of a lane
  __device__ static int Pair(int i) { return threadIdx.x % kWarp + i * kWarp; }
  __device__ static bool Owned(int i) {
    return N / 2 % kWarp == 0 || i + 1 < kCount || Pair(i) < N / 2;
  }
};

// docs/models/rwkv7.md, eq. 12 to 14. Pairs that a lane does not own are zero.
template <int N>
struct KeyVectors {
  static constexpr int kCount = KeyPairs<N>::kCount;
  float2 r[kCount];
  float2 log_w[kCount];  // log2 of the decay, never positive
  float2 k[kCount];      // after scaling
  float2 q[kCount];
  float2 b[kCount];  // q * a
  float bonus;       // sum_j r[j] k[j] rk[j], in all lanes; 0 where there is none
};

// Sums x and y over the warp; all lanes get both.
__device__ inline float2 WarpSum2(float x, float y) {
  const bool upper = threadIdx.x % kWarp >= kWarp / 2;
  float sum = (upper ? y : x) + __shfl_xor_sync(~0u, upper ? x : y, kWarp / 2);
#pragma unroll
  for (int offset = kWarp / 4; offset > 0; offset /= 2) {
    sum += __shfl_xor_sync(~0u, sum, offset);
  }
  const float other = __shfl_xor_sync(~0u, sum, kWarp / 2);
  return upper ? make_float2(other, sum) : make_float2(sum, other);
}

// 2^x and 1 / x to about two last bits; what is smaller than normal numbers becomes 0.
__device__ inline float FastExp2(float x) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
  return power;
}
__device__ inline float FastReciprocal(float x) {
  float inverse;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(x));
  return inverse;
}

// log2 of exp(-e^(-1/2) sigmoid(x))
__device__ inline float LogDecay(float x) {
  constexpr float kLog2OfE = 1.44269504088896341f;
  return -0.87503877491452759f * FastReciprocal(1.0f + FastExp2(-kLog2OfE * x));
}

// What gives a removal key of this squared length the length 1.
__device__ inline float KeyScale(float squares) { return rsqrtf(fmaxf(squares, 1e-24f)); }

template <typename T>
__device__ inline float2 WidenPair(const Packed<T, 2>& pair) {
  return make_float2(Widen(pair.values[0]), Widen(pair.values[1]));
}
template <typename T>
__device__ inline float2 LoadPair(const T* from) {
  Packed<T, 2> pair;
  pair.Load(from);
  return WidenPair(pair);
}

}  // namespace skein::cuda
