// One token of the RWKV-7 recurrence for one row of a head's fp32 state, by one thread: the plain
// form, for head sizes that the kernels of wkv_tokens.cuh are not made for. The block holds a head:
// thread i owns value channel i.
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

// docs/models/rwkv7.md, eq. 12 to 14, for state row `s` of `n`; returns y[i].
__device__ inline float WkvStep(float* s, const HeadVectors& head, float v, int n) {
  float z = 0, y = 0;
  for (int j = 0; j < n; ++j) z = fmaf(s[j], head.q[j], z);
  for (int j = 0; j < n; ++j) {
    s[j] = fmaf(v, head.k[j], fmaf(-z, head.b[j], s[j] * head.w[j]));
    y = fmaf(s[j], head.r[j], y);
  }
  return y;
}

}  // namespace skein::cuda
