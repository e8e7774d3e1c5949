// What surrounds the recurrence in RWKV-7 time mixing, for the kernels of kernels/cuda/wkv_*.cuh.
#pragma once

#include <cstdint>

#include "kernels/cuda/wkv_vectors.cuh"

namespace skein::cuda {

// docs/models/rwkv7.md, eq. 6 to 16, of rows [rows, A] of fp32, fp16 or bf16.
template <typename In>
struct TimeMixStage {
  static constexpr bool kNormalised = true;
  static constexpr bool kHasFp16States = true;
  static constexpr bool kScalesKeys = true;

  const In *r, *k, *v;
  const In* w;      // before the activation of eq. 6
  const In *a, *g;  // after theirs
  const In* v_mix;  // after its activation; null in layer 0
  In* v_first;
  MutableElements y;
  const float *k_k, *k_a, *norm_weight, *norm_bias;  // [A]
  const float* r_k;                                  // [H, N], as long
  float norm_eps;
  int64_t width;

  template <int N>
  struct RawKeys {
    Packed<In, 2> r[KeyPairs<N>::kCount], k[KeyPairs<N>::kCount], a[KeyPairs<N>::kCount],
        w[KeyPairs<N>::kCount];
  };
  template <int N>
  struct KeyWeights {
    float2 k_k[KeyPairs<N>::kCount], k_a[KeyPairs<N>::kCount], r_k[KeyPairs<N>::kCount];
  };
  template <int N>
  __device__ static RawKeys<N> NoKeys() {
    RawKeys<N> raw;
#pragma unroll
    for (int i = 0; i < KeyPairs<N>::kCount; ++i) {
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        raw.r[i].values[j] = raw.k[i].values[j] = raw.a[i].values[j] = cuda::Narrow<In>(0);
        raw.w[i].values[j] = cuda::Narrow<In>(-100);  // no decay
      }
    }
    return raw;
  }
  template <int N>
  __device__ void LoadKeys(int64_t row, int head, RawKeys<N>& raw, int token = 0) const {
#pragma unroll
    for (int i = 0; i < KeyPairs<N>::kCount; ++i) {
      if (!KeyPairs<N>::Owned(i)) continue;
      const int64_t at = row * width + head * N + 2 * KeyPairs<N>::Pair(i);
      const int behind = token * static_cast<int>(width);
      raw.r[i].Load(r + at + behind), raw.k[i].Load(k + at + behind);
      raw.a[i].Load(a + at + behind), raw.w[i].Load(w + at + behind);
    }
  }
  template <int N>
  __device__ KeyWeights<N> LoadKeyWeights(int head) const {
    KeyWeights<N> weights;
#pragma unroll
    for (int i = 0; i < KeyPairs<N>::kCount; ++i) {
      weights.k_k[i] = weights.k_a[i] = weights.r_k[i] = make_float2(0, 0);
      if (!KeyPairs<N>::Owned(i)) continue;
      const int c = head * N + 2 * KeyPairs<N>::Pair(i);
      weights.k_k[i] = LoadPair(k_k + c), weights.k_a[i] = LoadPair(k_a + c);
      weights.r_k[i] = LoadPair(r_k + c);
    }
    return weights;
  }
  // The lane's part of the removal key's squared length and of the bonus.
  template <int N>
  __device__ float2 KeySums(const RawKeys<N>& raw, const KeyWeights<N>& weights) const {
    float squares = 0, bonus = 0;
#pragma unroll
    for (int i = 0; i < KeyPairs<N>::kCount; ++i) {
      const float2 q = Removal<N>(raw, weights, i), key = Scaled<N>(raw, weights, i);
      const float2 reading = WidenPair(raw.r[i]), weight = weights.r_k[i];
      squares = fmaf(q.x, q.x, fmaf(q.y, q.y, squares));
      bonus = fmaf(reading.x * key.x, weight.x, fmaf(reading.y * key.y, weight.y, bonus));
    }
    return make_float2(squares, bonus);
  }
  template <int N>
  __device__ void MakeKeys(const RawKeys<N>& raw, const KeyWeights<N>& weights, float scale,
                           KeyVectors<N>& x) const {
#pragma unroll
    for (int i = 0; i < KeyPairs<N>::kCount; ++i) {
      const float2 decays = WidenPair(raw.w[i]), rates = WidenPair(raw.a[i]);
      const float2 q = Removal<N>(raw, weights, i);
      x.r[i] = WidenPair(raw.r[i]);
      x.log_w[i] = make_float2(LogDecay(decays.x), LogDecay(decays.y));
      x.k[i] = Scaled<N>(raw, weights, i);
      x.q[i] = make_float2(q.x * scale, q.y * scale);
      x.b[i] = make_float2(rates.x * x.q[i].x, rates.y * x.q[i].y);
    }
  }
  template <int N>
  __device__ void Keys(int64_t row, int head, KeyVectors<N>& x) const {
    RawKeys<N> raw = NoKeys<N>();
    LoadKeys<N>(row, head, raw);
    const KeyWeights<N> weights = LoadKeyWeights<N>(head);
    const float2 part = KeySums<N>(raw, weights), sums = WarpSum2(part.x, part.y);
    MakeKeys<N>(raw, weights, KeyScale(sums.x), x);
    x.bonus = sums.y;
  }

  template <int C>
  struct RawValues {
    Packed<In, C> v, mix, first;
  };
  template <int C>
  __device__ RawValues<C> LoadValues(int64_t row, int64_t channel, int token = 0) const {
    const int64_t at = row * width + channel;
    RawValues<C> raw;
    const int behind = token * static_cast<int>(width);
    raw.v.Load(v + at + behind);
    if (v_mix == nullptr) return raw;
    raw.mix.Load(v_mix + at + behind), raw.first.Load(v_first + at + behind);
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
    if (v_mix == nullptr) StoreFrom(v_first + row * width + channel, values);
  }

  template <int C>
  struct Gate {
    Packed<In, C> g;
    Packed<float, C> weight, bias;
  };
  template <int C>
  __device__ Gate<C> LoadGate(int64_t row, int64_t channel) const {
    Gate<C> gate;
    gate.g.Load(g + row * width + channel);
    gate.weight.Load(norm_weight + channel);
    gate.bias.Load(norm_bias + channel);
    return gate;
  }
  template <int C>
  __device__ void Finish(int64_t row, int64_t channel, const Gate<C>& gate, float bonus,
                         const float (&values)[C], const float (&normed)[C]) const {
    float out[C];
#pragma unroll
    for (int i = 0; i < C; ++i) {
      const float scaled = fmaf(normed[i], gate.weight.values[i], gate.bias.values[i]);
      out[i] = fmaf(bonus, values[i], scaled) * cuda::Widen(gate.g.values[i]);
    }
    Store(y, row * width + channel, out);
  }

 private:
  // Pair i of the removal key, not yet of length 1, and of the key as the state takes it.
  template <int N>
  __device__ static float2 Removal(const RawKeys<N>& raw, const KeyWeights<N>& weights, int i) {
    const float2 key = WidenPair(raw.k[i]), removal = weights.k_k[i];
    return make_float2(key.x * removal.x, key.y * removal.y);
  }
  template <int N>
  __device__ static float2 Scaled(const RawKeys<N>& raw, const KeyWeights<N>& weights, int i) {
    const float2 key = WidenPair(raw.k[i]), rates = WidenPair(raw.a[i]), grow = weights.k_a[i];
    return make_float2(key.x * fmaf(rates.x - 1, grow.x, 1.0f),
                       key.y * fmaf(rates.y - 1, grow.y, 1.0f));
  }
};

}  // namespace skein::cuda
