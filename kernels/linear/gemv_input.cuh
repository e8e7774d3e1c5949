// The inputs of the kernel for few rows. Every thread owns eight of them, in all rows.
#pragma once

#include <cstdint>

#include "kernels/linear/gemv_call.h"
#include "kernels/cuda/stream.cuh"

namespace skein::cuda {

inline constexpr int kVector = 8;
inline constexpr int kMaxThreads = 512;
inline constexpr int kMaxWarps = kMaxThreads / kWarp;

// Past the first-level cache, which may hold what an earlier kernel has read.
__device__ inline void Load8(const float* from, float (&to)[kVector]) {
  const float4 a = __ldcg(reinterpret_cast<const float4*>(from)),
               b = __ldcg(reinterpret_cast<const float4*>(from) + 1);
  to[0] = a.x, to[1] = a.y, to[2] = a.z, to[3] = a.w;
  to[4] = b.x, to[5] = b.y, to[6] = b.z, to[7] = b.w;
}
__device__ inline void Store8(const float (&from)[kVector], float* to, int64_t stride) {
  *reinterpret_cast<float4*>(to) = make_float4(from[0], from[1], from[2], from[3]);
  *reinterpret_cast<float4*>(to + stride) = make_float4(from[4], from[5], from[6], from[7]);
}

// What a thread multiplies, rounded to the type of the weights.
template <typename W, int kRows>
struct Inputs {
  float x[kRows][kVector];

  __device__ void SetRounded(int m, const float (&values)[kVector]) {
#pragma unroll
    for (int i = 0; i < kVector; ++i) x[m][i] = Widen(Narrow<W>(values[i]));
  }
  // Inputs [at, at + 8) as they are in memory.
  __device__ void LoadPlain(const GemvCall& call, const GemvProblem& p, int at) {
#pragma unroll
    for (int m = 0; m < kRows; ++m) {
      if (m >= call.rows) continue;
      const int64_t index = static_cast<int64_t>(m) * call.inputs + at;
      if (p.x_is_fp32) {
        float values[kVector];
        Load8(static_cast<const float*>(p.x) + index, values);
        SetRounded(m, values);
      } else {
        Unpack<W>(__ldcg(reinterpret_cast<const uint4*>(static_cast<const W*>(p.x) + index)), x[m]);
      }
    }
  }
};

// Sums of kRows values over the multiplying threads, in all of them.
template <int kRows>
__device__ void BlockSums(int threads, float (&values)[kRows],
                          float (&scratch)[kMaxGemvRows][kMaxWarps]) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
#pragma unroll
  for (int m = 0; m < kRows; ++m) {
    const float sum = WarpSum(values[m]);
    if (lane == 0) scratch[m][warp] = sum;
  }
  SyncFirst(threads);
#pragma unroll
  for (int m = 0; m < kRows; ++m) {
    values[m] = WarpSum(lane < threads / kWarp ? scratch[m][lane] : 0.0f);
  }
}

// The normed rows n and their distance from the token before, in shared memory: 64 bytes per thread
// and row.
template <typename W, int kRows>
class KeptRows {
 public:
  __device__ KeptRows(const GemvCall& call, float* memory)
      : call_(call), mine_(memory + threadIdx.x * 4) {}

  __device__ void Keep(int m, const float (&n)[kVector], const float (&distance)[kVector]) const {
    Store8(n, At(m, 0), Stride());
    Store8(distance, At(m, 2), Stride());
  }

  // n + distance * mix, or n.
  __device__ void MakeInputs(const float* mix, Inputs<W, kRows>& inputs) const {
    float share[kVector] = {};
    if (mix != nullptr) Load8(mix + threadIdx.x * kVector, share);
#pragma unroll
    for (int m = 0; m < kRows; ++m) {
      if (m >= call_.rows) continue;
      float n[kVector], distance[kVector];
      Read(m, 0, n);
      Read(m, 2, distance);
#pragma unroll
      for (int i = 0; i < kVector; ++i) n[i] = fmaf(distance[i], share[i], n[i]);
      inputs.SetRounded(m, n);
    }
  }

  // The normed rows become the sequences' state.
  __device__ void SaveShift() const {
#pragma unroll 1
    for (int m = 0; m < call_.rows; ++m) {
      const int slot = call_.norm.slots[m];
      if (slot < 0) continue;
      float n[kVector];
      Read(m, 0, n);
      Store8(n, call_.norm.shift + slot * call_.norm.slot_stride + threadIdx.x * kVector, 4);
    }
  }

 private:
  // Quarters of a thread's values, so that neighbouring threads use neighbouring banks.
  __device__ int Stride() const { return call_.threads * 4; }
  __device__ float* At(int m, int part) const { return mine_ + (m * 4 + part) * Stride(); }
  __device__ void Read(int m, int part, float (&to)[kVector]) const {
    const float4 a = *reinterpret_cast<const float4*>(At(m, part)),
                 b = *reinterpret_cast<const float4*>(At(m, part + 1));
    to[0] = a.x, to[1] = a.y, to[2] = a.z, to[3] = a.w;
    to[4] = b.x, to[5] = b.y, to[6] = b.z, to[7] = b.w;
  }

  const GemvCall& call_;
  float* mine_;
};

// What the norm needs beside the residual stream: constants, and the state, which only an earlier
// step has written. Read before the kernel ahead has ended.
template <int kRows>
struct NormParameters {
  float weight[kVector], bias[kVector] = {}, before[kRows][kVector] = {};

  __device__ explicit NormParameters(const GemvCall& call) {
    const int at = threadIdx.x * kVector;
    Load8(call.norm.weight + at, weight);
    if (call.norm.bias != nullptr) Load8(call.norm.bias + at, bias);
#pragma unroll
    for (int m = 0; m < kRows; ++m) {
      if (call.norm.shift == nullptr || m >= call.rows) continue;
      const int slot = call.norm.slots[m];
      if (slot >= 0) Load8(call.norm.shift + slot * call.norm.slot_stride + at, before[m]);
    }
  }
};

// Norms the rows, after the kernel ahead has ended.
template <typename W, int kRows>
__device__ void NormRows(const GemvCall& call, const NormParameters<kRows>& parameters,
                         float (&scratch)[2][kMaxGemvRows][kMaxWarps],
                         const KeptRows<W, kRows>& kept) {
  float x[kRows][kVector] = {}, mean[kRows] = {}, squares[kRows] = {};
#pragma unroll
  for (int m = 0; m < kRows; ++m) {
    if (m >= call.rows) continue;
    const int64_t row = call.norm.gather == nullptr ? m : call.norm.gather[m];
    Load8(call.norm.x + row * call.inputs + threadIdx.x * kVector, x[m]);
  }
  if (call.norm.bias != nullptr) {
#pragma unroll
    for (int m = 0; m < kRows; ++m) {
#pragma unroll
      for (int i = 0; i < kVector; ++i) mean[m] += x[m][i];
    }
    BlockSums(call.threads, mean, scratch[0]);
#pragma unroll
    for (int m = 0; m < kRows; ++m) mean[m] /= call.inputs;
  }
#pragma unroll
  for (int m = 0; m < kRows; ++m) {
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      x[m][i] -= mean[m];
      squares[m] = fmaf(x[m][i], x[m][i], squares[m]);
    }
  }
  BlockSums(call.threads, squares, scratch[1]);
#pragma unroll
  for (int m = 0; m < kRows; ++m) {
    const float scale = rsqrtf(squares[m] / call.inputs + call.norm.eps);
    float distance[kVector];
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      x[m][i] = fmaf(x[m][i] * scale, parameters.weight[i], parameters.bias[i]);
      distance[i] = parameters.before[m][i] - x[m][i];
    }
    kept.Keep(m, x[m], distance);
  }
}

}  // namespace skein::cuda
