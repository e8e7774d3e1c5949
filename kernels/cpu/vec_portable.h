// vec.h in plain C++: any processor.
#pragma once

namespace skein::portable {

struct Vec {
  float f[16];
};

SKEIN_INLINE uint32_t Bits(float x) { return __builtin_bit_cast(uint32_t, x); }
SKEIN_INLINE float FromBits(uint32_t bits) { return __builtin_bit_cast(float, bits); }

template <typename F>
SKEIN_INLINE Vec Each(F f) {
  Vec out;
  for (int i = 0; i < 16; ++i) out.f[i] = f(i);
  return out;
}

SKEIN_INLINE Vec Zero() { return Vec{}; }
SKEIN_INLINE Vec Broadcast(float x) {
  return Each([=](int) { return x; });
}
SKEIN_INLINE Vec Load(const float* p) {
  return Each([=](int i) { return p[i]; });
}
SKEIN_INLINE void Store(float* p, const Vec& a) {
  for (int i = 0; i < 16; ++i) p[i] = a.f[i];
}
SKEIN_INLINE Vec LoadTail(const float* p, int64_t count) {
  return Each([=](int i) { return i < count ? p[i] : 0.0f; });
}
SKEIN_INLINE void StoreTail(float* p, const Vec& a, int64_t count) {
  for (int i = 0; i < count; ++i) p[i] = a.f[i];
}

SKEIN_INLINE float WidenBf16(uint16_t bits) { return FromBits(static_cast<uint32_t>(bits) << 16); }
SKEIN_INLINE float WidenF16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu;
  const uint32_t fraction = bits & 0x3ffu;
  if (exponent == 0) {  // fraction * 2^-24, exact
    return FromBits(Bits(static_cast<float>(fraction) * 0x1p-24f) | sign);
  }
  return FromBits(sign | ((exponent == 31 ? 0xffu : exponent + 112) << 23) | (fraction << 13));
}
SKEIN_INLINE Vec LoadBf16(const uint16_t* p) {
  return Each([=](int i) { return WidenBf16(p[i]); });
}
SKEIN_INLINE Vec LoadF16(const uint16_t* p) {
  return Each([=](int i) { return WidenF16(p[i]); });
}
SKEIN_INLINE Vec LoadBf16Tail(const uint16_t* p, int64_t count) {
  return Each([=](int i) { return i < count ? WidenBf16(p[i]) : 0.0f; });
}
SKEIN_INLINE Vec LoadF16Tail(const uint16_t* p, int64_t count) {
  return Each([=](int i) { return i < count ? WidenF16(p[i]) : 0.0f; });
}

SKEIN_INLINE Vec Add(const Vec& a, const Vec& b) {
  return Each([&](int i) { return a.f[i] + b.f[i]; });
}
SKEIN_INLINE Vec Sub(const Vec& a, const Vec& b) {
  return Each([&](int i) { return a.f[i] - b.f[i]; });
}
SKEIN_INLINE Vec Mul(const Vec& a, const Vec& b) {
  return Each([&](int i) { return a.f[i] * b.f[i]; });
}
SKEIN_INLINE Vec Div(const Vec& a, const Vec& b) {
  return Each([&](int i) { return a.f[i] / b.f[i]; });
}
SKEIN_INLINE Vec Fma(const Vec& a, const Vec& b, const Vec& c) {
  return Each([&](int i) { return __builtin_fmaf(a.f[i], b.f[i], c.f[i]); });
}
SKEIN_INLINE Vec Min(const Vec& a, const Vec& b) {
  return Each([&](int i) { return a.f[i] < b.f[i] ? a.f[i] : b.f[i]; });
}
SKEIN_INLINE Vec Max(const Vec& a, const Vec& b) {
  return Each([&](int i) { return a.f[i] > b.f[i] ? a.f[i] : b.f[i]; });
}
SKEIN_INLINE Vec Abs(const Vec& a) {
  return Each([&](int i) { return FromBits(Bits(a.f[i]) & 0x7fffffffu); });
}
// The magnitude of `a` (which must not be negative) with the sign of `b`.
SKEIN_INLINE Vec WithSign(const Vec& a, const Vec& b) {
  return Each([&](int i) { return FromBits(Bits(a.f[i]) | (Bits(b.f[i]) & 0x80000000u)); });
}
// Per lane a < b ? x : y.
SKEIN_INLINE Vec IfLess(const Vec& a, const Vec& b, const Vec& x, const Vec& y) {
  return Each([&](int i) { return a.f[i] < b.f[i] ? x.f[i] : y.f[i]; });
}
// x * 2^n for integral n in [-252, 252].
SKEIN_INLINE Vec Scale(const Vec& x, const Vec& n) {
  return Each([&](int i) {
    // The conversion of NaN is undefined in C++; the other instruction sets turn it into the
    // smallest integer.
    const int32_t whole = n.f[i] == n.f[i] ? static_cast<int32_t>(n.f[i]) : INT32_MIN;
    const int32_t half = whole >> 1;
    const float first = FromBits(static_cast<uint32_t>(half + 127) << 23);
    const float second = FromBits(
        static_cast<uint32_t>(static_cast<uint32_t>(whole) - static_cast<uint32_t>(half) + 127u)
        << 23);
    return x.f[i] * first * second;
  });
}

SKEIN_INLINE float Sum(const Vec& a) {
  float s[8];
  for (int i = 0; i < 8; ++i) s[i] = a.f[i] + a.f[i + 8];
  for (int width = 4; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) s[i] = s[i] + s[i + width];
  }
  return s[0];
}
// Lane i is Sum(v[i]).
SKEIN_INLINE Vec SumEach(const Vec* v) {
  return Each([=](int i) { return Sum(v[i]); });
}

}  // namespace skein::portable
