// Arithmetic that CUDA bodies share. Sums run in a fixed order, so that a row's result depends on
// the row alone.
#pragma once

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "common/tensor/dtype.h"
#include "kernels/cpu/rows.h"
#include "kernels/device/activation_view.h"

namespace skein::cuda {

inline constexpr int kWarp = 32;

__device__ inline float Widen(float x) { return x; }
__device__ inline float Widen(__half x) { return __half2float(x); }
__device__ inline float Widen(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T>
__device__ inline T Narrow(float x);
template <>
__device__ inline float Narrow(float x) {
  return x;
}
template <>
__device__ inline __half Narrow(float x) {
  return __float2half_rn(x);
}
template <>
__device__ inline __nv_bfloat16 Narrow(float x) {
  return __float2bfloat16_rn(x);
}

// Elements of a type that is known at run time, for kernels where that costs nothing that counts.
struct Elements {
  const void* data;
  DType dtype;

  __device__ float operator[](int64_t i) const {
    if (dtype == DType::kF16) return Widen(static_cast<const __half*>(data)[i]);
    if (dtype == DType::kBF16) return Widen(static_cast<const __nv_bfloat16*>(data)[i]);
    return static_cast<const float*>(data)[i];
  }
};
struct MutableElements {
  void* data;
  DType dtype;

  operator Elements() const { return {data, dtype}; }  // NOLINT: reading is part of writing
  __device__ float operator[](int64_t i) const { return Elements{data, dtype}[i]; }
  __device__ void Store(int64_t i, float x) const {
    if (dtype == DType::kF16) {
      static_cast<__half*>(data)[i] = __float2half_rn(x);
    } else if (dtype == DType::kBF16) {
      static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16_rn(x);
    } else {
      static_cast<float*>(data)[i] = x;
    }
  }
};
inline Elements ElementsOf(const ConstActivationView& view) { return {view.data(), view.dtype()}; }
inline MutableElements ElementsOf(const ActivationView& view) {
  return {view.data(), view.dtype()};
}

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

// store(c, (x[c] - mean) / sqrt(var + eps) * w[c] + b[c]) over a row of n, by the whole block; RMS
// norm where `b` is null.
template <typename Store>
__device__ inline void NormRow(const float* x, const float* w, const float* b, float eps, int n,
                               float* scratch, Store store) {
  float sum = 0;
  for (int c = threadIdx.x; c < n; c += blockDim.x) sum += x[c];
  const float mean = b == nullptr ? 0.0f : BlockSum(sum, scratch) / n;
  float squares = 0;
  for (int c = threadIdx.x; c < n; c += blockDim.x) squares += (x[c] - mean) * (x[c] - mean);
  const float scale = rsqrtf(BlockSum(squares, scratch) / n + eps);
  for (int c = threadIdx.x; c < n; c += blockDim.x) {
    const float normed = (x[c] - mean) * scale * w[c];
    store(c, b == nullptr ? normed : normed + b[c]);
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
