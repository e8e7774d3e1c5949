// Arithmetic that CUDA bodies share. Sums run in a fixed order, so that a row's result depends on
// the row alone.
#pragma once

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/cpu/rows.h"

namespace skein::cuda {

inline constexpr int kWarp = 32;

__device__ inline float Widen(float x) { return x; }
__device__ inline float Widen(__half x) { return __half2float(x); }
__device__ inline float Widen(__nv_bfloat16 x) { return __bfloat162float(x); }

__device__ inline float Activated(float x, Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kTanh:
      return tanhf(x);
    case Activation::kSigmoid:
      return 1.0f / (1.0f + expf(-x));
    case Activation::kReluSquared:
      return x > 0 ? x * x : 0.0f;
    case Activation::kDecay:  // exp(-e^(-1/2) sigmoid(x))
      return expf(-0.60653065971263342f / (1.0f + expf(-x)));
  }
  return x;
}

// All lanes get the sum over the warp.
__device__ inline float WarpSum(float x) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(~0u, x, offset);
  return x;
}

// All threads get the sum over the block; `scratch` holds 32 floats and may be reused after the
// next barrier.
__device__ inline float BlockSum(float x, float* scratch) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  x = WarpSum(x);
  __syncthreads();
  if (lane == 0) scratch[warp] = x;
  __syncthreads();
  const int warps = (blockDim.x + kWarp - 1) / kWarp;
  return WarpSum(lane < warps ? scratch[lane] : 0.0f);
}

// y = (x - mean) / sqrt(var + eps) * w + b over a row of n, by the whole block; RMS norm where `b`
// is null.
__device__ inline void NormRow(const float* x, const float* w, const float* b, float eps, int n,
                               float* y, float* scratch) {
  float sum = 0;
  for (int c = threadIdx.x; c < n; c += blockDim.x) sum += x[c];
  const float mean = b == nullptr ? 0.0f : BlockSum(sum, scratch) / n;
  float squares = 0;
  for (int c = threadIdx.x; c < n; c += blockDim.x) squares += (x[c] - mean) * (x[c] - mean);
  const float scale = rsqrtf(BlockSum(squares, scratch) / n + eps);
  for (int c = threadIdx.x; c < n; c += blockDim.x) {
    const float normed = (x[c] - mean) * scale * w[c];
    y[c] = b == nullptr ? normed : normed + b[c];
  }
}

// The sequence that `row` belongs to: row_begin[s] <= row < row_begin[s + 1].
__device__ inline int SequenceOf(const int32_t* row_begin, int count, int row) {
  int low = 0, high = count - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (row_begin[middle] <= row) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

}  // namespace skein::cuda
