// What surrounds the recurrence in a hybrid's RWKV layer, for the kernels of
// kernels/cuda/wkv_*.cuh.
#pragma once

#include <cstdint>

#include "kernels/cuda/wkv_vectors.cuh"

namespace skein::cuda {

// docs/models/hybrid.md, eq. 6 to 17, for heads of N channels and rows of fp32, fp16 or bf16:
// [rows, C], or [rows, E] for what a group of heads shares.
template <int N, typename In>
struct HybridStage {
  static constexpr bool kNormalised = false;
  static constexpr bool kHasFp16States = false;
  static constexpr bool kScalesKeys = false;

  const In *r, *k, *v;
  const In* u;              // the decay before its activation
  const In *a, *g;          // after theirs
  const In *k_mix, *v_mix;  // [rows, E], after their activation; null in the first RWKV layer
  In *k_first, *v_first;    // [rows, E]
  MutableElements y;
  const float *r_norm, *k_norm;  // [N], null without norms
  const float* r_k;              // [H, N]
  const float *cosines, *sines;  // [rows, N / 2]
  float norm_eps;
  int heads, group;  // heads in all, and heads that share a key and a value

  template <int kHead>
  __device__ void Keys(int64_t row, int head, KeyVectors<kHead>& x) const {
    static_assert(kHead == N);
    const int64_t wide = Wide(row, head * N), narrow = Narrow(row, head * N);
    Rotated(r + wide, k + narrow, row, x);
    float squares = 0, bonus = 0;
#pragma unroll
    for (int i = 0; i < KeyVectors<N>::kCount; ++i) {
      x.log_w[i] = x.q[i] = x.b[i] = make_float2(0, 0);
      if (!KeyPairs<N>::Owned(i)) continue;
      const int c = 2 * KeyPairs<N>::Pair(i);
      const float2 decays = LoadPair(u + wide + c), rates = LoadPair(a + wide + c);
      const float2 weight = LoadPair(r_k + head * N + c);
      const float2 key = Shared(x.k[i], narrow + c, head);
      x.log_w[i] = make_float2(LogDecay(decays.x), LogDecay(decays.y));
      x.k[i] = make_float2(key.x * Growth(decays.x, rates.x), key.y * Growth(decays.y, rates.y));
      x.q[i] = key;
      x.b[i] = rates;
      squares = fmaf(key.x, key.x, fmaf(key.y, key.y, squares));
      bonus = fmaf(x.r[i].x * x.k[i].x, weight.x, fmaf(x.r[i].y * x.k[i].y, weight.y, bonus));
    }
    const float2 sums = WarpSum2(squares, bonus);
    x.bonus = sums.y;
    const float scale = 1.0f / fmaxf(sqrtf(sums.x), 1e-12f);
#pragma unroll
    for (int i = 0; i < KeyVectors<N>::kCount; ++i) {
      x.q[i].x *= scale, x.q[i].y *= scale;
      x.b[i].x *= x.q[i].x, x.b[i].y *= x.q[i].y;
    }
  }

  // Keys are read where they are made: a token's take most of a warp's registers.
  template <int kHead>
  struct RawKeys {
    int64_t row;  // -1: none
    int head;
  };
  template <int kHead>
  struct KeyWeights {};
  template <int kHead>
  __device__ static RawKeys<kHead> NoKeys() {
    return {-1, 0};
  }
  template <int kHead>
  __device__ void LoadKeys(int64_t row, int head, RawKeys<kHead>& raw, int token = 0) const {
    raw = {row + token, head};
  }
  template <int kHead>
  __device__ KeyWeights<kHead> LoadKeyWeights(int) const {
    return {};
  }
  template <int kHead>
  __device__ void MakeKeys(const RawKeys<kHead>& raw, const KeyWeights<kHead>&, float,
                           KeyVectors<kHead>& x) const {
    if (raw.row >= 0) return Keys<kHead>(raw.row, raw.head, x);
#pragma unroll
    for (int i = 0; i < KeyVectors<kHead>::kCount; ++i) {
      x.r[i] = x.log_w[i] = x.k[i] = x.q[i] = x.b[i] = make_float2(0, 0);
    }
    x.bonus = 0;
  }

  template <int C>
  struct RawValues {
    Packed<In, C> v, mix, first;
  };
  template <int C>
  __device__ RawValues<C> LoadValues(int64_t row, int64_t channel, int token = 0) const {
    const int64_t at = Narrow(row + token, static_cast<int>(channel));
    RawValues<C> raw;
    raw.v.Load(v + at);
    if (v_mix != nullptr) raw.mix.Load(v_mix + at), raw.first.Load(v_first + at);
    return raw;
  }
  template <int C>
  __device__ void MakeValues(const RawValues<C>& raw, float (&out)[C]) const {
    cuda::Widen(raw.v, out);
    if (v_mix == nullptr) return;
#pragma unroll
    for (int i = 0; i < C; ++i) {
      const float first = cuda::Widen(raw.first.values[i]);
      out[i] = fmaf(first - out[i], cuda::Widen(raw.mix.values[i]), out[i]);
    }
  }
  template <int C>
  __device__ void Values(int64_t row, int64_t channel, float (&out)[C]) const {
    MakeValues(LoadValues<C>(row, channel), out);
  }
  template <int C>
  __device__ void PublishValues(int64_t row, int64_t channel, const float (&values)[C]) const {
    const int c = static_cast<int>(channel);
    if (v_mix == nullptr && c / N % group == 0) StoreFrom(v_first + Narrow(row, c), values);
  }

  template <int C>
  struct Gate {
    Packed<In, C> g;
  };
  template <int C>
  __device__ Gate<C> LoadGate(int64_t row, int64_t channel) const {
    Gate<C> gate;
    gate.g.Load(g + Wide(row, static_cast<int>(channel)));
    return gate;
  }
  template <int C>
  __device__ void Finish(int64_t row, int64_t channel, const Gate<C>& gate, float bonus,
                         const float (&values)[C], const float (&sums)[C]) const {
    const float scale = rsqrtf(static_cast<float>(N));
    float out[C];
#pragma unroll
    for (int i = 0; i < C; ++i) {
      out[i] = fmaf(bonus, values[i], sums[i] * scale) * cuda::Widen(gate.g.values[i]);
    }
    Store(y, Wide(row, static_cast<int>(channel)), out);
  }

 private:
  __device__ int64_t Wide(int64_t row, int channel) const { return row * (heads * N) + channel; }
  // Of the key or value that the channel's head reads.
  __device__ int64_t Narrow(int64_t row, int channel) const {
    return row * (heads / group * N) + channel / N / group * N + channel % N;
  }

  // 1 - omega + a
  __device__ static float Growth(float u, float rate) {
    return fmaxf(-u, 0.0f) + __logf(1.0f + __expf(-fabsf(u))) + 1.5f + rate;
  }

  // A pair of a key after norm and rotation, as the recurrence reads it. In the first layer the
  // warps of one head of the group leave it for the later ones.
  __device__ float2 Shared(const float2& key, int64_t at, int head) const {
    if (k_mix == nullptr) {
      const float pair[2] = {key.x, key.y};
      if (head % group == 0) StoreFrom(k_first + at, pair);
      return key;
    }
    const float2 mix = LoadPair(k_mix + at), first = LoadPair(k_first + at);
    return make_float2(fmaf(first.x - key.x, mix.x, key.x), fmaf(first.y - key.y, mix.y, key.y));
  }

  // x.r and x.k of a head after norm and rotation.
  __device__ void Rotated(const In* r_head, const In* k_head, int64_t row, KeyVectors<N>& x) const {
    constexpr int kCount = KeyVectors<N>::kCount;
    float2 r_partner[kCount], k_partner[kCount];
    float r_squares = 0, k_squares = 0;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      x.r[i] = x.k[i] = make_float2(0, 0);
      if (!KeyPairs<N>::Owned(i)) continue;
      const int c = 2 * KeyPairs<N>::Pair(i);
      x.r[i] = LoadPair(r_head + c), r_partner[i] = LoadPair(r_head + Partner(c));
      x.k[i] = LoadPair(k_head + c), k_partner[i] = LoadPair(k_head + Partner(c));
      r_squares = fmaf(x.r[i].x, x.r[i].x, fmaf(x.r[i].y, x.r[i].y, r_squares));
      k_squares = fmaf(x.k[i].x, x.k[i].x, fmaf(x.k[i].y, x.k[i].y, k_squares));
    }
    float2 scales = make_float2(1, 1);
    if (r_norm != nullptr) {
      const float2 sums = WarpSum2(r_squares, k_squares);
      scales = make_float2(rsqrtf(sums.x / N + norm_eps), rsqrtf(sums.y / N + norm_eps));
    }
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      if (!KeyPairs<N>::Owned(i)) continue;
      const int c = 2 * KeyPairs<N>::Pair(i);
      const int64_t angle = row * (N / 2) + c % (N / 2);
      const float2 cosine = LoadPair(cosines + angle), sine = LoadPair(sines + angle);
      x.r[i] = Rotate(x.r[i], r_partner[i], c, r_norm, scales.x, cosine, sine);
      x.k[i] = Rotate(x.k[i], k_partner[i], c, k_norm, scales.y, cosine, sine);
    }
  }
  __device__ static int Partner(int c) { return c < N / 2 ? c + N / 2 : c - N / 2; }
  __device__ static float2 Rotate(float2 x, float2 partner, int c, const float* norm, float scale,
                                  const float2& cosine, const float2& sine) {
    if (norm != nullptr) {
      const float2 mine = LoadPair(norm + c), its = LoadPair(norm + Partner(c));
      x.x *= scale * mine.x, x.y *= scale * mine.y;
      partner.x *= scale * its.x, partner.y *= scale * its.y;
    }
    const float sign = c < N / 2 ? -1.0f : 1.0f;
    return make_float2(fmaf(x.x, cosine.x, sign * partner.x * sine.x),
                       fmaf(x.y, cosine.y, sign * partner.y * sine.y));
  }
};

}  // namespace skein::cuda
