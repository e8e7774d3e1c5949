#include "kernels/time_mix_wkv/time_mix_wkv_lanes.h"

#include "kernels/cpu/rows.h"
#include "kernels/cpu/vec.h"
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

// Equations 9 to 11, and the sum of the bonus.
SKEIN_INLINE float Prepare(const TimeMixHeadCall& call, HeadVectors& h) {
  Vec squares = Zero();
  ForEachVec(call.n, [&](int64_t i, int64_t left) {
    const Vec q = Mul(LoadUpTo(call.k + i, left), LoadUpTo(call.k_k + i, left));
    squares = Fma(q, q, squares);
    Store(h.q + i, q);
  });
  const float length = __builtin_sqrtf(Sum(squares));
  const Vec scale = Broadcast(1.0f / (length > 1e-12f ? length : 1e-12f));
  Vec bonus = Zero();
  ForEachVec(call.n, [&](int64_t i, int64_t left) {
    const Vec a = LoadUpTo(call.a + i, left);
    const Vec r = LoadUpTo(call.r + i, left);
    const Vec q = Mul(Load(h.q + i), scale);
    const Vec grow = Fma(Sub(a, Broadcast(1.0f)), LoadUpTo(call.k_a + i, left), Broadcast(1.0f));
    const Vec k = Mul(LoadUpTo(call.k + i, left), grow);
    Vec v = LoadUpTo(call.v + i, left);
    if (call.v_mix == nullptr) {
      StoreUpTo(call.v_first + i, v, left);
    } else {
      v = Fma(Sub(LoadUpTo(call.v_first + i, left), v), LoadUpTo(call.v_mix + i, left), v);
    }
    bonus = Fma(Mul(r, k), LoadUpTo(call.r_k + i, left), bonus);
    Store(h.r + i, r);
    Store(h.w + i, LoadUpTo(call.w + i, left));
    Store(h.k + i, k);
    Store(h.v + i, v);
    Store(h.q + i, q);
    Store(h.b + i, Mul(q, a));
  });
  return Sum(bonus);
}

}  // namespace

void TimeMixHead(const TimeMixHeadCall& call) {
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
  LayerNormRow(call.y, call.norm_weight, call.norm_bias, call.norm_eps, call.n, call.y);
  ForEachVec(call.n, [&](int64_t i, int64_t left) {
    const Vec y = Fma(bonus, Load(h.v + i), LoadUpTo(call.y + i, left));
    StoreUpTo(call.y + i, Mul(y, LoadUpTo(call.g + i, left)), left);
  });
}

}  // namespace skein::SKEIN_ISA_NAMESPACE
