// One token of the RWKV-7 recurrence for one row of a head's state, by one thread. The block holds
// a head: thread i owns value channel i.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/math.cuh"

namespace skein::cuda {

// A head's vectors of one token in shared memory: r, w, k, q and q * a, over the key channels.
struct HeadVectors {
  const float *r, *w, *k, *q, *b;
};

// Floats of one vector in shared memory: whole vector loads, so that a load never passes the last
// vector's end.
__host__ __device__ constexpr int VectorStride(int n) { return (n + 3) / 4 * 4; }

// Five vectors in a row; `Store` fills element i.
struct SharedHead {
  float* base;
  int stride;

  __device__ HeadVectors vectors() const {
    return {base, base + stride, base + 2 * stride, base + 3 * stride, base + 4 * stride};
  }
  __device__ void Store(int i, float r, float w, float k, float q, float b) const {
    base[i] = r;
    base[stride + i] = w;
    base[2 * stride + i] = k;
    base[3 * stride + i] = q;
    base[4 * stride + i] = b;
  }
  static size_t Bytes(int n) { return 5 * VectorStride(n) * sizeof(float); }
};

// docs/models/rwkv7.md, eq. 12 to 14, for state row `s`; returns y[i]. kN is the head size, or 0 if
// only `n` knows it.
template <int kN, typename Row>
__device__ inline float WkvStep(Row& s, const HeadVectors& head, float v, int n) {
  const int size = kN > 0 ? kN : n;
  float z = 0, y = 0;
#pragma unroll
  for (int j = 0; j < size; ++j) z = fmaf(s[j], head.q[j], z);
#pragma unroll
  for (int j = 0; j < size; ++j) {
    s[j] = fmaf(v, head.k[j], fmaf(-z, head.b[j], s[j] * head.w[j]));
    y = fmaf(s[j], head.r[j], y);
  }
  return y;
}

// The state row of a thread: in registers where the head size is known, else in memory.
template <int kN>
struct StateRow {
  float values[kN];
  __device__ void Load(float* memory) {
#pragma unroll
    for (int j = 0; j < kN; ++j) values[j] = memory[j];
  }
  __device__ void Store(float* memory) const {
#pragma unroll
    for (int j = 0; j < kN; ++j) memory[j] = values[j];
  }
  __device__ float& operator[](int j) { return values[j]; }
};
template <>
struct StateRow<0> {
  float* memory;
  __device__ void Load(float* at) { memory = at; }
  __device__ void Store(float*) const {}
  __device__ float& operator[](int j) { return memory[j]; }
};

}  // namespace skein::cuda
