// Elementary functions over the lanes of a Vec: fixed polynomials, so the same bits on every
// instruction set. The error stays below 3 units in the last place (tests/kernels/cpu). NaN gives
// NaN.
#pragma once

#include "kernels/cpu/vec.h"

namespace skein::SKEIN_ISA_NAMESPACE {

// e^x; zero below -104, infinity above 89.
SKEIN_INLINE Vec Exp(Vec x) {
  x = Min(Broadcast(89.0f), Max(Broadcast(-104.0f), x));
  // Adding and taking away 1.5 * 2^23 rounds to the nearest integer.
  const Vec magic = Broadcast(12582912.0f);
  const Vec n = Sub(Fma(x, Broadcast(1.44269504f), magic), magic);
  // x - n ln 2, with ln 2 in two parts.
  Vec r = Fma(n, Broadcast(-0x1.62e43p-1f), x);
  r = Fma(n, Broadcast(1.9046542e-9f), r);
  Vec p = Broadcast(1.0f / 5040.0f);
  p = Fma(p, r, Broadcast(1.0f / 720.0f));
  p = Fma(p, r, Broadcast(1.0f / 120.0f));
  p = Fma(p, r, Broadcast(1.0f / 24.0f));
  p = Fma(p, r, Broadcast(1.0f / 6.0f));
  p = Fma(p, r, Broadcast(0.5f));
  p = Fma(Mul(p, r), r, Add(r, Broadcast(1.0f)));
  return Scale(p, n);
}

// 1 / (1 + e^-x)
SKEIN_INLINE Vec Sigmoid(Vec x) {
  const Vec one = Broadcast(1.0f);
  return Div(one, Add(one, Exp(Sub(Zero(), x))));
}

SKEIN_INLINE Vec Tanh(Vec x) {
  const Vec magnitude = Abs(x);
  const Vec z = Mul(x, x);
  Vec p = Broadcast(0.00229255770f);
  p = Fma(p, z, Broadcast(-0.00834378037f));
  p = Fma(p, z, Broadcast(0.0217688682f));
  p = Fma(p, z, Broadcast(-0.0539592534f));
  p = Fma(p, z, Broadcast(0.133333035f));
  p = Fma(p, z, Broadcast(-0.333333332f));
  const Vec small = Fma(Mul(p, z), x, x);
  const Vec one = Broadcast(1.0f);
  const Vec e = Exp(Add(magnitude, magnitude));
  const Vec large = Sub(one, Div(Broadcast(2.0f), Add(e, one)));
  return IfLess(magnitude, Broadcast(0.625f), small, WithSign(large, x));
}

// log(1 + e^x) = max(x, 0) + log1p(e^-|x|)
SKEIN_INLINE Vec Softplus(Vec x) {
  const Vec t = Exp(Sub(Zero(), Abs(x)));
  // log1p(t) = 2 atanh(t / (2 + t))
  const Vec s = Div(t, Add(t, Broadcast(2.0f)));
  const Vec z = Mul(s, s);
  Vec p = Broadcast(0.103964187f);
  p = Fma(p, z, Broadcast(0.0873170028f));
  p = Fma(p, z, Broadcast(0.111324117f));
  p = Fma(p, z, Broadcast(0.142851509f));
  p = Fma(p, z, Broadcast(0.200000054f));
  p = Fma(p, z, Broadcast(0.333333333f));
  const Vec half = Fma(Mul(p, z), s, s);
  return Add(Max(Zero(), x), Add(half, half));
}

// x sigmoid(x)
SKEIN_INLINE Vec Silu(Vec x) { return Mul(x, Sigmoid(x)); }

// RWKV-7's decay factor: exp(-e^(-1/2) sigmoid(x)).
SKEIN_INLINE Vec Decay(Vec x) { return Exp(Mul(Broadcast(-0.60653066f), Sigmoid(x))); }

}  // namespace skein::SKEIN_ISA_NAMESPACE
