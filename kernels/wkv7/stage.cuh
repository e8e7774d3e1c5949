// The recurrence alone, for the kernels of kernels/cuda/wkv_*.cuh: all vectors are given.
#pragma once

#include <cstdint>

#include "kernels/cuda/wkv_vectors.cuh"

namespace skein::cuda {

// docs/models/rwkv7.md, eq. 12 to 14, of rows [rows, H * N].
struct PlainStage {
  static constexpr bool kNormalised = false;
  static constexpr bool kHasFp16States = true;

  const float *r, *w, *k, *v, *q, *b;
  float* y;
  int64_t width;

  template <int N>
  __device__ void Keys(int64_t row, int head, KeyVectors<N>& x) const {
#pragma unroll
    for (int i = 0; i < KeyVectors<N>::kCount; ++i) {
      x.r[i] = x.log_w[i] = x.k[i] = x.q[i] = x.b[i] = make_float2(0, 0);
      if (!KeyPairs<N>::Owned(i)) continue;
      const int64_t at = row * width + head * N + 2 * KeyPairs<N>::Pair(i);
      x.r[i] = LoadPair(r + at), x.k[i] = LoadPair(k + at);
      x.q[i] = LoadPair(q + at), x.b[i] = LoadPair(b + at);
      const float2 decay = LoadPair(w + at);
      x.log_w[i] = make_float2(log2f(decay.x), log2f(decay.y));
    }
    x.bonus = 0;
  }
  template <int C>
  __device__ void Values(int64_t row, int64_t channel, float (&out)[C]) const {
    LoadTo(out, v + row * width + channel);
  }
  template <int C>
  __device__ void PublishValues(int64_t, int64_t, const float (&)[C]) const {}

  template <int C>
  struct Gate {};
  template <int C>
  __device__ Gate<C> LoadGate(int64_t, int64_t) const {
    return {};
  }
  template <int C>
  __device__ void Finish(int64_t row, int64_t channel, const Gate<C>&, float, const float (&)[C],
                         const float (&out)[C]) const {
    StoreFrom(y + row * width + channel, out);
  }
};

}  // namespace skein::cuda
