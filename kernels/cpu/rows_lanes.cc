#include "kernels/cpu/rows.h"
#include "kernels/cpu/vec_math.h"

namespace skein::SKEIN_ISA_NAMESPACE {
namespace {

template <typename F>
SKEIN_INLINE void ForEachVec(int64_t n, F f) {
  for (int64_t i = 0; i < n; i += kLanes) f(i, n - i);
}

SKEIN_INLINE float SquareRoot(float x) { return __builtin_sqrtf(x); }

template <Vec (*kFunction)(Vec)>
SKEIN_INLINE void Apply(float* y, const float* bias, int64_t n) {
  ForEachVec(n, [&](int64_t i, int64_t left) {
    Vec v = LoadUpTo(y + i, left);
    if (bias != nullptr) v = Add(v, LoadUpTo(bias + i, left));
    StoreUpTo(y + i, kFunction(v), left);
  });
}

SKEIN_INLINE Vec Same(Vec x) { return x; }
SKEIN_INLINE Vec ReluSquared(Vec x) {
  const Vec positive = Max(Zero(), x);
  return Mul(positive, positive);
}

}  // namespace

void LayerNormRow(const float* x, const float* w, const float* b, float eps, int64_t n, float* y) {
  Vec sum = Zero();
  ForEachVec(n, [&](int64_t i, int64_t left) { sum = Add(sum, LoadUpTo(x + i, left)); });
  const float mean = Sum(sum) / static_cast<float>(n);
  const Vec means = Broadcast(mean);
  const auto centred = [&](int64_t i, int64_t left) {
    // Lanes behind the end stay zero in both sums: a tail of means is subtracted from them.
    return left >= kLanes
               ? Sub(Load(x + i), means)
               : Sub(LoadTail(x + i, left),
                     IfLess(LaneIndex(), Broadcast(static_cast<float>(left)), means, Zero()));
  };
  Vec squares = Zero();
  ForEachVec(n, [&](int64_t i, int64_t left) {
    const Vec d = centred(i, left);
    squares = Fma(d, d, squares);
  });
  const float variance = Sum(squares) / static_cast<float>(n);
  const Vec scale = Broadcast(1.0f / SquareRoot(variance + eps));
  ForEachVec(n, [&](int64_t i, int64_t left) {
    const Vec d = Mul(centred(i, left), scale);
    StoreUpTo(y + i, Fma(d, LoadUpTo(w + i, left), LoadUpTo(b + i, left)), left);
  });
}

void RmsNormRow(const float* x, const float* w, float eps, int64_t n, float* y) {
  Vec squares = Zero();
  ForEachVec(n, [&](int64_t i, int64_t left) {
    const Vec v = LoadUpTo(x + i, left);
    squares = Fma(v, v, squares);
  });
  const float mean = Sum(squares) / static_cast<float>(n);
  const Vec scale = Broadcast(1.0f / SquareRoot(mean + eps));
  ForEachVec(n, [&](int64_t i, int64_t left) {
    const Vec v = Mul(LoadUpTo(x + i, left), scale);
    StoreUpTo(y + i, Mul(v, LoadUpTo(w + i, left)), left);
  });
}

void LerpRow(const float* x, const float* before, const float* mix, int64_t n, float* y) {
  ForEachVec(n, [&](int64_t i, int64_t left) {
    const Vec v = LoadUpTo(x + i, left);
    const Vec d = Sub(LoadUpTo(before + i, left), v);
    StoreUpTo(y + i, Fma(d, LoadUpTo(mix + i, left), v), left);
  });
}

void FinishRow(float* y, const float* bias, Activation activation, int64_t n) {
  switch (activation) {
    case Activation::kNone:
      if (bias != nullptr) Apply<Same>(y, bias, n);
      return;
    case Activation::kTanh:
      return Apply<Tanh>(y, bias, n);
    case Activation::kSigmoid:
      return Apply<Sigmoid>(y, bias, n);
    case Activation::kReluSquared:
      return Apply<ReluSquared>(y, bias, n);
    case Activation::kDecay:
      return Apply<Decay>(y, bias, n);
  }
}

void SiluMulRow(const float* gate, const float* up, int64_t n, float* y) {
  ForEachVec(n, [&](int64_t i, int64_t left) {
    StoreUpTo(y + i, Mul(Silu(LoadUpTo(gate + i, left)), LoadUpTo(up + i, left)), left);
  });
}

void AddRow(const float* x, const float* bias, int64_t n, float* y) {
  ForEachVec(n, [&](int64_t i, int64_t left) {
    Vec v = LoadUpTo(x + i, left);
    if (bias != nullptr) v = Add(v, LoadUpTo(bias + i, left));
    StoreUpTo(y + i, Add(LoadUpTo(y + i, left), v), left);
  });
}

void RotateHead(const float* x, const float* cosines, const float* sines, int64_t half, float* y) {
  ForEachVec(half, [&](int64_t i, int64_t left) {
    const Vec c = LoadUpTo(cosines + i, left);
    const Vec s = LoadUpTo(sines + i, left);
    const Vec first = LoadUpTo(x + i, left);
    const Vec second = LoadUpTo(x + half + i, left);
    StoreUpTo(y + i, Sub(Mul(first, c), Mul(second, s)), left);
    StoreUpTo(y + half + i, Add(Mul(second, c), Mul(first, s)), left);
  });
}

void ExpRow(const float* x, int64_t n, float* y) {
  ForEachVec(n,
             [&](int64_t i, int64_t left) { StoreUpTo(y + i, Exp(LoadUpTo(x + i, left)), left); });
}

void SoftplusRow(const float* x, int64_t n, float* y) {
  ForEachVec(
      n, [&](int64_t i, int64_t left) { StoreUpTo(y + i, Softplus(LoadUpTo(x + i, left)), left); });
}

}  // namespace skein::SKEIN_ISA_NAMESPACE
