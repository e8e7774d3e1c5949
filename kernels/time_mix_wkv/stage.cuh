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

  // log2 of exp(-e^(-1/2) sigmoid(x))
  __device__ static float LogDecay(float x) {
    return __fdividef(-0.87503877491452759f, 1.0f + __expf(-x));
  }

  template <int N>
  __device__ void Keys(int64_t row, int head, KeyVectors<N>& x) const {
    float squares = 0, bonus = 0;
#pragma unroll
    for (int i = 0; i < KeyVectors<N>::kCount; ++i) {
      x.r[i] = x.log_w[i] = x.k[i] = x.q[i] = x.b[i] = make_float2(0, 0);
      if (!KeyPairs<N>::Owned(i)) continue;
      const int c = head * N + 2 * KeyPairs<N>::Pair(i);
      const int64_t at = row * width + c;
      const float2 key = LoadPair(k + at), rates = LoadPair(a + at), decays = LoadPair(w + at);
      const float2 grow = LoadPair(k_a + c), removal = LoadPair(k_k + c),
                   weight = LoadPair(r_k + c);
      x.r[i] = LoadPair(r + at);
      x.log_w[i] = make_float2(LogDecay(decays.x), LogDecay(decays.y));
      x.k[i] = make_float2(key.x * fmaf(rates.x - 1, grow.x, 1.0f),
                           key.y * fmaf(rates.y - 1, grow.y, 1.0f));
      x.q[i] = make_float2(key.x * removal.x, key.y * removal.y);
      x.b[i] = rates;
      squares = fmaf(x.q[i].x, x.q[i].x, fmaf(x.q[i].y, x.q[i].y, squares));
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

  template <int C>
  __device__ void Values(int64_t row, int64_t channel, float (&out)[C]) const {
    const int64_t at = row * width + channel;
    LoadTo(out, v + at);
    if (v_mix == nullptr) return;
    float mix[C], first[C];
    LoadTo(mix, v_mix + at);
    LoadTo(first, v_first + at);
#pragma unroll
    for (int i = 0; i < C; ++i) out[i] = fmaf(first[i] - out[i], mix[i], out[i]);
  }
  template <int C>
  __device__ void PublishValues(int64_t row, int64_t channel, const float (&values)[C]) const {
    if (v_mix == nullptr) StoreFrom(v_first + row * width + channel, values);
  }

  template <int C>
  struct Gate {
    float g[C], weight[C], bias[C];
  };
  template <int C>
  __device__ Gate<C> LoadGate(int64_t row, int64_t channel) const {
    Gate<C> gate;
    LoadTo(gate.g, g + row * width + channel);
    LoadTo(gate.weight, norm_weight + channel);
    LoadTo(gate.bias, norm_bias + channel);
    return gate;
  }
  template <int C>
  __device__ void Finish(int64_t row, int64_t channel, const Gate<C>& gate, float bonus,
                         const float (&values)[C], const float (&normed)[C]) const {
    float out[C];
#pragma unroll
    for (int i = 0; i < C; ++i) {
      out[i] = fmaf(bonus, values[i], fmaf(normed[i], gate.weight[i], gate.bias[i])) * gate.g[i];
    }
    Store(y, row * width + channel, out);
  }
};

}  // namespace skein::cuda
