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

// One decision for all values.
template <int kCount>
__device__ __forceinline__ void ActivateAll(float (&v)[kCount], Activation activation) {
  const auto apply = [&](Activation known) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) v[i] = cuda::Activated(v[i], known);
  };
  switch (activation) {
    case Activation::kNone:
      return;
    case Activation::kTanh:
      return apply(Activation::kTanh);
    case Activation::kSigmoid:
      return apply(Activation::kSigmoid);
    case Activation::kReluSquared:
      return apply(Activation::kReluSquared);
    case Activation::kDecay:
      return apply(Activation::kDecay);
  }
}

// Both outputs of a thread in kCount octets of rows, from octet `first` of the tile.
template <int kCount>
__device__ __forceinline__ void StoreFloats(const Target& t, int first,
                                            const float (&v)[4 * kCount]) {
#pragma unroll
  for (int i = 0; i < 4 * kCount; ++i) {
    const int row = t.row + (first + i / 4) * kOctet + i % 2, output = t.output + i / 2 % 2 * 8;
    if (row >= t.rows || output >= t.outputs) continue;
    float* to = static_cast<float*>(t.y.data) + static_cast<int64_t>(row) * t.outputs + output;
    // Adding is left to the memory, which saves waiting for the old value. An output has one
    // addend in a launch, so nothing depends on an order.
    if (t.accumulate) {
      atomicAdd(to, v[i]);
    } else {
      *to = v[i];
    }
  }
}

// The lane four beside has the neighbouring output: each of the two takes both outputs of one row.
template <int kCount, typename Half>
__device__ __forceinline__ void StoreHalves(const Target& t, int first,
                                            const float (&v)[4 * kCount]) {
  const int odd = threadIdx.x / 4 % 2;
#pragma unroll
  for (int i = 0; i < 2 * kCount; ++i) {
    const float kept = odd ? v[2 * i + 1] : v[2 * i];
    const float received = __shfl_xor_sync(~0u, odd ? v[2 * i] : v[2 * i + 1], 4);
    const int row = t.row + (first + i / 2) * kOctet + odd, output = t.output + i % 2 * 8 - odd;
    if (row >= t.rows || output >= t.outputs) continue;
    Half* to = static_cast<Half*>(t.y.data) + static_cast<int64_t>(row) * t.outputs + output;
    const Half pair[] = {cuda::Narrow<Half>(odd ? received : kept),
                         cuda::Narrow<Half>(odd ? kept : received)};
    *reinterpret_cast<uint32_t*>(to) = *reinterpret_cast<const uint32_t*>(pair);
  }
}

template <int kCount>
__device__ __forceinline__ void FinishOctets(const Target& t, int first, float (&v)[4 * kCount]) {
#pragma unroll
  for (int i = 0; i < 4 * kCount; ++i) v[i] += t.bias[i / 2 % 2];
  ActivateAll(v, t.activation);
  if (t.y.dtype == DType::kF32) {
    StoreFloats<kCount>(t, first, v);
  } else if (t.y.dtype == DType::kF16) {
    StoreHalves<kCount, __half>(t, first, v);
  } else {
    StoreHalves<kCount, __nv_bfloat16>(t, first, v);
  }
}

}  // namespace skein::streamed
