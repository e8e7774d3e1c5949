#include "kernels/hybrid_wkv/hybrid_wkv_lanes.h"

#include "kernels/cpu/rows.h"
#include "kernels/cpu/vec_math.h"
#include "kernels/wkv7/wkv7_lanes.h"

namespace skein::SKEIN_ISA_NAMESPACE {
namespace {

// Whole groups of lanes, zeros behind the last channel.
struct HeadVectors {
  alignas(64) float r[kMaxHeadSize], w[kMaxHeadSize], k[kMaxHeadSize];
  alignas(64) float v[kMaxHeadSize], q[kMaxHeadSize], b[kMaxHeadSize];
};

template <typename F>
SKEIN_INLINE void ForEachVec(int64_t n, F f) {
  for (int64_t i = 0; i < n; i += kLanes) f(i, n - i);
}

void NormAndRotate(const HybridHeadCall& call, const float* x, const float* norm, float* y) {
  for (int64_t i = call.n; i < PaddedHead(call.n); ++i) y[i] = 0.0f;
  if (norm != nullptr) {
    RmsNormRow(x, norm, call.norm_eps, call.n, y);
    x = y;
  }
  RotateHead(x, call.cosines, call.sines, call.n / 2, y);
}

SKEIN_INLINE Vec Mix(const float* first, const float* mix, int64_t i, int64_t left, Vec x) {
  if (mix == nullptr) return x;
  return Fma(Sub(LoadUpTo(first + i, left), x), LoadUpTo(mix + i, left), x);
}

// Key and value as the head's group shares them. The sum of the key's squares comes back.
SKEIN_INLINE float MixKeyValue(const HybridHeadCall& call, HeadVectors& h) {
  NormAndRotate(call, call.k, call.k_norm, h.k);
  Vec squares = Zero();
  ForEachVec(call.n, [&](int64_t i, int64_t left) {
    Vec k = Load(h.k + i);
    Vec v = LoadUpTo(call.v + i, left);
    if (call.publish) {
      StoreUpTo(call.k_first + i, k, left);
      StoreUpTo(call.v_first + i, v, left);
    }
    k = Mix(call.k_first, call.k_mix, i, left, k);
    v = Mix(call.v_first, call.v_mix, i, left, v);
    squares = Fma(k, k, squares);
    Store(h.k + i, k);
    Store(h.v + i, v);
  });
  return Sum(squares);
}

// What the recurrence reads; the sum of the bonus comes back.
SKEIN_INLINE float Prepare(const HybridHeadCall& call, HeadVectors& h) {
  NormAndRotate(call, call.r, call.r_norm, h.r);
  const float length = __builtin_sqrtf(MixKeyValue(call, h));
  const Vec scale = Broadcast(1.0f / (length > 1e-12f ? length : 1e-12f));
  Vec bonus = Zero();
  ForEachVec(call.n, [&](int64_t i, int64_t left) {
    const Vec u = LoadUpTo(call.u + i, left);
    const Vec a = LoadUpTo(call.a + i, left);
    const Vec k = Load(h.k + i);
    const Vec q = Mul(k, scale);
    // 1 - omega = 1.5 + softplus(-u)
    const Vec grow = Add(Add(Softplus(Sub(Zero(), u)), Broadcast(1.5f)), a);
    const Vec kt = Mul(k, grow);
    bonus = Fma(Mul(Load(h.r + i), kt), LoadUpTo(call.r_k + i, left), bonus);
    Store(h.w + i, Decay(u));
    Store(h.k + i, kt);
    Store(h.q + i, q);
    Store(h.b + i, Mul(q, a));
  });
  return Sum(bonus);
}

}  // namespace

void HybridHead(const HybridHeadCall& call) {
  HeadVectors h;
  const Vec bonus = Broadcast(Prepare(call, h));
  Wkv7StepCall step;
  step.n = call.n;
  step.r = h.r;
  step.w = h.w;
  step.k = h.k;
  step.q = h.q;
  step.b = h.b;
  step.v = h.v;
  step.state = call.state;
  step.y = call.y;
  Wkv7Step(step);
  if (call.factor != nullptr) {
    ForEachVec(call.n, [&](int64_t i, int64_t left) {
      StoreUpTo(call.y + i, Mul(LoadUpTo(call.y + i, left), LoadUpTo(call.factor + i, left)), left);
    });
  }
  const Vec scale = Broadcast(1.0f / __builtin_sqrtf(static_cast<float>(call.n)));
  ForEachVec(call.n, [&](int64_t i, int64_t left) {
    const Vec y = Fma(bonus, Load(h.v + i), Mul(LoadUpTo(call.y + i, left), scale));
    StoreUpTo(call.y + i, Mul(y, LoadUpTo(call.g + i, left)), left);
  });
}

}  // namespace skein::SKEIN_ISA_NAMESPACE
