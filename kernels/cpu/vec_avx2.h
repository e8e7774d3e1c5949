// vec.h for AVX2 with FMA and F16C.
#pragma once

#include <immintrin.h>

namespace skein::avx2 {

struct Vec {
  __m256 lo, hi;
};

SKEIN_INLINE Vec Zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
SKEIN_INLINE Vec Broadcast(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
SKEIN_INLINE Vec Load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
SKEIN_INLINE void Store(float* p, Vec a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
// All bits set in the first `count` of the eight lanes that begin at lane `first`.
SKEIN_INLINE __m256i TailMask(int64_t count, int first) {
  const __m256i lane =
      _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(first));
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lane);
}
SKEIN_INLINE Vec LoadTail(const float* p, int64_t count) {
  return {_mm256_maskload_ps(p, TailMask(count, 0)), _mm256_maskload_ps(p + 8, TailMask(count, 8))};
}
SKEIN_INLINE void StoreTail(float* p, Vec a, int64_t count) {
  _mm256_maskstore_ps(p, TailMask(count, 0), a.lo);
  _mm256_maskstore_ps(p + 8, TailMask(count, 8), a.hi);
}

SKEIN_INLINE __m128i LoadBits(const uint16_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
SKEIN_INLINE __m256 WidenBf16(__m128i bits) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
SKEIN_INLINE Vec LoadBf16(const uint16_t* p) {
  return {WidenBf16(LoadBits(p)), WidenBf16(LoadBits(p + 8))};
}
SKEIN_INLINE Vec LoadF16(const uint16_t* p) {
  return {_mm256_cvtph_ps(LoadBits(p)), _mm256_cvtph_ps(LoadBits(p + 8))};
}
struct PaddedBits {
  uint16_t bits[16];
};
SKEIN_INLINE PaddedBits LoadBitsTail(const uint16_t* p, int64_t count) {
  PaddedBits padded = {};
  for (int64_t i = 0; i < count; ++i) padded.bits[i] = p[i];
  return padded;
}
SKEIN_INLINE Vec LoadBf16Tail(const uint16_t* p, int64_t count) {
  return LoadBf16(LoadBitsTail(p, count).bits);
}
SKEIN_INLINE Vec LoadF16Tail(const uint16_t* p, int64_t count) {
  return LoadF16(LoadBitsTail(p, count).bits);
}

SKEIN_INLINE Vec Add(Vec a, Vec b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
SKEIN_INLINE Vec Sub(Vec a, Vec b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
SKEIN_INLINE Vec Mul(Vec a, Vec b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
SKEIN_INLINE Vec Div(Vec a, Vec b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
SKEIN_INLINE Vec Fma(Vec a, Vec b, Vec c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
SKEIN_INLINE Vec Min(Vec a, Vec b) {
  return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
SKEIN_INLINE Vec Max(Vec a, Vec b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
SKEIN_INLINE Vec Abs(Vec a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
// The magnitude of `a` (which must not be negative) with the sign of `b`.
SKEIN_INLINE Vec WithSign(Vec a, Vec b) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(a.lo, _mm256_and_ps(b.lo, sign)),
          _mm256_or_ps(a.hi, _mm256_and_ps(b.hi, sign))};
}
// Per lane a < b ? x : y.
SKEIN_INLINE Vec IfLess(Vec a, Vec b, Vec x, Vec y) {
  return {_mm256_blendv_ps(y.lo, x.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
          _mm256_blendv_ps(y.hi, x.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}
SKEIN_INLINE __m256 ScaleHalf(__m256 x, __m256 n) {
  const __m256i whole = _mm256_cvtps_epi32(n);
  const __m256i half = _mm256_srai_epi32(whole, 1);
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256i first = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
  const __m256i second =
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23);
  return _mm256_mul_ps(_mm256_mul_ps(x, _mm256_castsi256_ps(first)), _mm256_castsi256_ps(second));
}
// x * 2^n for integral n in [-252, 252].
SKEIN_INLINE Vec Scale(Vec x, Vec n) { return {ScaleHalf(x.lo, n.lo), ScaleHalf(x.hi, n.hi)}; }

SKEIN_INLINE float Sum(Vec a) {
  const __m256 s8 = _mm256_add_ps(a.lo, a.hi);
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_shuffle_ps(s2, s2, 1)));
}
// Sums of eight vectors; each level adds halves of two at once.
SKEIN_INLINE __m256 SumEight(const Vec* v) {
  __m256 t[8], u[4], w[2];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) t[i] = _mm256_add_ps(v[i].lo, v[i].hi);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    u[i] = _mm256_add_ps(_mm256_permute2f128_ps(t[i], t[i + 4], 0x20),
                         _mm256_permute2f128_ps(t[i], t[i + 4], 0x31));
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    w[i] = _mm256_add_ps(_mm256_shuffle_ps(u[i], u[i + 2], 0x44),
                         _mm256_shuffle_ps(u[i], u[i + 2], 0xEE));
  }
  const __m256 sums =
      _mm256_add_ps(_mm256_shuffle_ps(w[0], w[1], 0x88), _mm256_shuffle_ps(w[0], w[1], 0xDD));
  // The levels left the sums of vectors 0 2 1 3 | 4 6 5 7.
  return _mm256_permutevar8x32_ps(sums, _mm256_setr_epi32(0, 2, 1, 3, 4, 6, 5, 7));
}
// Lane i is Sum(v[i]).
SKEIN_INLINE Vec SumEach(const Vec* v) { return {SumEight(v), SumEight(v + 8)}; }

}  // namespace skein::avx2
