// From the sums of a warpgroup product to outputs, for StreamedKernel.
#pragma once

#include <cstdint>

#include "kernels/cuda/math.cuh"

namespace skein::streamed {

constexpr int kOctet = 8;  // rows of which a thread holds four sums: two outputs of two rows

// What a thread needs to finish its outputs of a tile, `output` and `output` + 8.
struct Target {
  cuda::MutableElements y;
  bool accumulate;
  Activation activation;
  int outputs, output;
  int row, rows;  // the thread's first row; of the product
  float bias[2];
};

// cuda::Activated with the hardware's approximations, right to about 1e-6: the exact functions take
// longer here than the multiplications.
__device__ inline float Sigmoid(float x) { return __fdividef(1.0f, 1.0f + __expf(-x)); }

template <int kCount>
__device__ __forceinline__ void Activate(float (&v)[kCount], Activation activation) {
  if (activation == Activation::kNone) return;
  if (activation == Activation::kReluSquared) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) v[i] = fmaxf(v[i], 0.0f) * fmaxf(v[i], 0.0f);
    return;
  }
  const bool tanh = activation == Activation::kTanh;
#pragma unroll
  for (int i = 0; i < kCount; ++i) v[i] = Sigmoid(tanh ? 2 * v[i] : v[i]);
  if (tanh) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) v[i] = 2 * v[i] - 1;
  } else if (activation == Activation::kDecay) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) v[i] = __expf(-0.60653065971263342f * v[i]);
  }
}

// Sums of kCount octets, from octet `first` of the tile; in each: outputs `output` and `output` + 8
// of two rows.
template <int kCount>
__device__ __forceinline__ void StoreFloats(const Target& t, int first,
                                            const float (&v)[4 * kCount]) {
  const int row = t.row + first * kOctet;
  float* to = static_cast<float*>(t.y.data) + static_cast<int64_t>(row) * t.outputs + t.output;
#pragma unroll
  for (int i = 0; i < 4 * kCount; ++i) {
    const int down = i / 4 * kOctet + i % 2, right = i / 2 % 2 * 8;
    const bool inside = row + down < t.rows && t.output + right < t.outputs;
    if (inside) to[down * t.outputs + right] = v[i];
  }
}

// Adding is left to the memory, which saves waiting for the old value. An output has one addend in
// a launch, so nothing depends on an order.
template <int kCount>
__device__ __forceinline__ void AddFloats(const Target& t, int first,
                                          const float (&v)[4 * kCount]) {
  const int row = t.row + first * kOctet;
  float* to = static_cast<float*>(t.y.data) + static_cast<int64_t>(row) * t.outputs + t.output;
#pragma unroll
  for (int i = 0; i < 4 * kCount; ++i) {
    const int down = i / 4 * kOctet + i % 2, right = i / 2 % 2 * 8;
    const bool inside = row + down < t.rows && t.output + right < t.outputs;
    if (inside) atomicAdd(to + down * t.outputs + right, v[i]);
  }
}

// The lane four beside has the neighbouring output: each of the two takes both outputs of one row.
template <int kCount, typename Half>
__device__ __forceinline__ void StoreHalves(const Target& t, int first,
                                            const float (&v)[4 * kCount]) {
  const int odd = threadIdx.x / 4 % 2, row = t.row + first * kOctet + odd, output = t.output - odd;
  Half* to = static_cast<Half*>(t.y.data) + static_cast<int64_t>(row) * t.outputs + output;
#pragma unroll
  for (int i = 0; i < 2 * kCount; ++i) {
    const float received = __shfl_xor_sync(~0u, odd ? v[2 * i] : v[2 * i + 1], 4);
    const int down = i / 2 * kOctet, right = i % 2 * 8;
    Half pair[] = {cuda::Narrow<Half>(odd ? received : v[2 * i]),
                   cuda::Narrow<Half>(odd ? v[2 * i + 1] : received)};
    const bool inside = row + down < t.rows && output + right < t.outputs;
    uint32_t* at = reinterpret_cast<uint32_t*>(to + down * t.outputs + right);
    if (inside) *at = *reinterpret_cast<const uint32_t*>(pair);
  }
}

template <int kCount>
__device__ __forceinline__ void FinishOctets(const Target& t, int first, float (&v)[4 * kCount]) {
#pragma unroll
  for (int i = 0; i < 4 * kCount; ++i) v[i] += t.bias[i / 2 % 2];
  Activate(v, t.activation);
  if (t.accumulate) {
    AddFloats<kCount>(t, first, v);
  } else if (t.y.dtype == DType::kF32) {
    StoreFloats<kCount>(t, first, v);
  } else if (t.y.dtype == DType::kF16) {
    StoreHalves<kCount, __half>(t, first, v);
  } else {
    StoreHalves<kCount, __nv_bfloat16>(t, first, v);
  }
}

}  // namespace skein::streamed
