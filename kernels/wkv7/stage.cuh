// The recurrence alone, for the kernels of kernels/cuda/wkv_*.cuh: all vectors are given.
#pragma once

#include <cstdint>

#include "kernels/cuda/wkv_vectors.cuh"

namespace skein::cuda {

// docs/models/rwkv7.md, eq. 12 to 14, of rows [rows, H * N].
struct PlainStage {
  static constexpr bool kNormalised = false;
  static constexpr bool kHasFp16States = true;
  static constexpr bool kScalesKeys = false;

  const float *r, *w, *k, *v, *q, *b;
  float* y;
  int64_t width;

  template <int N>
  struct RawKeys {
    float2 r[KeyPairs<N>::kCount], w[KeyPairs<N>::kCount], k[KeyPairs<N>::kCount],
        q[KeyPairs<N>::kCount], b[KeyPairs<N>::kCount];
  };
  template <int N>
  struct KeyWeights {};
  template <int N>
  __device__ static RawKeys<N> NoKeys() {
    RawKeys<N> raw;
#pragma unroll
    for (int i = 0; i < KeyPairs<N>::kCount; ++i) {
      raw.r[i] = raw.k[i] = raw.q[i] = raw.b[i] = make_float2(0, 0);
      raw.w[i] = make_float2(1, 1);
    }
    return raw;
  }
  template <int N>
  __device__ void LoadKeys(int64_t row, int head, RawKeys<N>& raw, int token = 0) const {
#pragma unroll
    for (int i = 0; i < KeyPairs<N>::kCount; ++i) {
      if (!KeyPairs<N>::Owned(i)) continue;
      const int64_t at = (row + token) * width + head * N + 2 * KeyPairs<N>::Pair(i);
      raw.r[i] = LoadPair(r + at), raw.w[i] = LoadPair(w + at), raw.k[i] = LoadPair(k + at);
      raw.q[i] = LoadPair(q + at), raw.b[i] = LoadPair(b + at);
    }
  }
  template <int N>
  __device__ KeyWeights<N> LoadKeyWeights(int) const {
    return {};
  }
  template <int N>
  __device__ void MakeKeys(const RawKeys<N>& raw, const KeyWeights<N>&, float,
                           KeyVectors<N>& x) const {
#pragma unroll
    for (int i = 0; i < KeyPairs<N>::kCount; ++i) {
      x.r[i] = raw.r[i], x.k[i] = raw.k[i], x.q[i] = raw.q[i], x.b[i] = raw.b[i];
      x.log_w[i] = make_float2(log2f(raw.w[i].x), log2f(raw.w[i].y));
    }
    x.bonus = 0;
  }
  template <int N>
  __device__ void Keys(int64_t row, int head, KeyVectors<N>& x) const {
    RawKeys<N> raw = NoKeys<N>();
    LoadKeys<N>(row, head, raw);
    MakeKeys<N>(raw, {}, 1.0f, x);
  }

  template <int C>
  struct RawValues {
    Packed<float, C> v;
  };
  template <int C>
  __device__ RawValues<C> LoadValues(int64_t row, int64_t channel, int token = 0) const {
    RawValues<C> raw;
    raw.v.Load(v + (row + token) * width + channel);
    return raw;
  }
  template <int C>
  __device__ void MakeValues(const RawValues<C>& raw, float (&out)[C]) const {
    Widen(raw.v, out);
  }
  template <int C>
  __device__ void Values(int64_t row, int64_t channel, float (&out)[C]) const {
    MakeValues(LoadValues<C>(row, channel), out);
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
