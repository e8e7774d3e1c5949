// From the sums of a tile, in the registers of a warpgroup, to y.
#pragma once

#include <cstdint>

#include "kernels/cuda/math.cuh"
#include "kernels/linear/tile_stages.cuh"

namespace skein::cuda {

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// sigmoid(x), tanh(x) or exp(-e^(-1/2) sigmoid(x)).
__device__ inline float Squashed(float x, Activation activation) {
  const bool tanh = activation == Activation::kTanh;
  const float s = 1.0f / (1.0f + __expf(tanh ? -2.0f * x : -x));
  if (tanh) return 2.0f * s - 1.0f;
  return activation == Activation::kDecay ? __expf(-0.60653065971263342f * s) : s;
}

__device__ inline uint32_t PackPair(float a, float b, __half) {
  const __half2 pair = __floats2half2_rn(a, b);
  return *reinterpret_cast<const uint32_t*>(&pair);
}
__device__ inline uint32_t PackPair(float a, float b, __nv_bfloat16) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(a, b);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

// Lane t of four takes element t of each: word[i] becomes word[t] of lane i.
__device__ inline void TransposeQuad(uint32_t (&word)[4]) {
  const int t = threadIdx.x % 4;
#pragma unroll
  for (int bit = 1; bit <= 2; bit *= 2) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (i & bit) continue;
      const bool odd = t & bit;
      const uint32_t got = __shfl_xor_sync(~0u, odd ? word[i] : word[i + bit], bit);
      (odd ? word[i] : word[i + bit]) = got;
    }
  }
}

// Where the sums of a thread in one strip of 64 rows belong: rows `row` and `row` + 8 of y, of a
// chunk of 32 columns the columns 2 t, 2 t + 1, 8 + 2 t, ... for lane t of four.
struct StripPlace {
  const TileProblem* problem;
  void* y;  // at `row` and the tile's first column
  int col;  // the tile's first
  bool rows[2];

  __device__ bool Has(int column) const { return col + column < problem->outputs; }
  template <typename T>
  __device__ T* At(int half, int column) const {
    return static_cast<T*>(y) + (half ? 8 * problem->outputs : 0) + column;
  }
};

template <typename S>
__device__ StripPlace PlaceOfStrip(const TilePlace& at, int rows, int strip) {
  const int group = threadIdx.x / 128, warp = threadIdx.x % 128 / kWarp;
  const int row =
      at.row + group * (S::kRows / 2) + strip * 64 + warp * 16 + threadIdx.x % kWarp / 4;
  const int64_t element = static_cast<int64_t>(row) * at.problem->outputs + at.col;
  char* y = static_cast<char*>(at.problem->y) + element * (at.problem->f32 ? 4 : 2);
  return {at.problem, y, at.col, {row < rows, row + 8 < rows}};
}

template <typename T>
__device__ void StoreHalves(const StripPlace& at, int chunk, const float (&v)[16]) {
  const int t = threadIdx.x % 4;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    uint32_t word[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      word[i] = PackPair(v[4 * i + 2 * half], v[4 * i + 2 * half + 1], T());
    }
    TransposeQuad(word);
    if (at.rows[half] && at.Has(chunk * 32 + 8 * t)) {
      *reinterpret_cast<uint4*>(at.At<T>(half, chunk * 32 + 8 * t)) =
          make_uint4(word[0], word[1], word[2], word[3]);
    }
  }
}

// What y holds before the sums are added.
__device__ inline void LoadBefore(const StripPlace& at, int chunk, float2 (&before)[8]) {
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int column = chunk * 32 + i / 2 * 8;
    before[i] = make_float2(0, 0);
    if (at.rows[i % 2] && at.Has(column)) {
      before[i] =
          *reinterpret_cast<const float2*>(at.At<float>(i % 2, column + 2 * (threadIdx.x % 4)));
    }
  }
}

__device__ inline void StoreFloats(const StripPlace& at, int chunk, const float (&v)[16]) {
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int column = chunk * 32 + i / 2 * 8;
    if (at.rows[i % 2] && at.Has(column)) {
      *reinterpret_cast<float2*>(at.At<float>(i % 2, column + 2 * (threadIdx.x % 4))) =
          make_float2(v[2 * i], v[2 * i + 1]);
    }
  }
}

template <typename T>
__device__ void FinishChunk(const StripPlace& at, int chunk, float (&v)[16]) {
  const TileProblem& p = *at.problem;
  if (p.bias != nullptr) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int column = chunk * 32 + 8 * i;
      if (!at.Has(column)) continue;
      const float2 bias =
          *reinterpret_cast<const float2*>(p.bias + at.col + column + 2 * (threadIdx.x % 4));
      v[4 * i] += bias.x, v[4 * i + 1] += bias.y, v[4 * i + 2] += bias.x, v[4 * i + 3] += bias.y;
    }
  }
  if (p.activation == Activation::kReluSquared) {
#pragma unroll
    for (int i = 0; i < 16; ++i) v[i] = v[i] > 0 ? v[i] * v[i] : 0.0f;
  } else if (p.activation != Activation::kNone) {
#pragma unroll
    for (int i = 0; i < 16; ++i) v[i] = Squashed(v[i], p.activation);
  }
  if (p.f32) {
    StoreFloats(at, chunk, v);
  } else {
    StoreHalves<T>(at, chunk, v);
  }
}

__device__ inline void AddBefore(const float2 (&before)[8], float (&v)[16]) {
#pragma unroll
  for (int i = 0; i < 8; ++i) v[2 * i] += before[i].x, v[2 * i + 1] += before[i].y;
}

#endif

}  // namespace skein::cuda
