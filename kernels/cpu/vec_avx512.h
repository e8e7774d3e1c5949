// vec.h for AVX-512.
#pragma once

#include <immintrin.h>

namespace skein::avx512 {

struct Vec {
  __m512 v;
};

SKEIN_INLINE Vec Zero() { return {_mm512_setzero_ps()}; }
SKEIN_INLINE Vec Broadcast(float x) { return {_mm512_set1_ps(x)}; }
SKEIN_INLINE Vec Load(const float* p) { return {_mm512_loadu_ps(p)}; }
SKEIN_INLINE void Store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
SKEIN_INLINE __mmask16 TailMask(int64_t count) {
  return static_cast<__mmask16>((1u << count) - 1u);
}
SKEIN_INLINE Vec LoadTail(const float* p, int64_t count) {
  return {_mm512_maskz_loadu_ps(TailMask(count), p)};
}
SKEIN_INLINE void StoreTail(float* p, Vec a, int64_t count) {
  _mm512_mask_storeu_ps(p, TailMask(count), a.v);
}

SKEIN_INLINE __m512 WidenBf16(__m256i bits) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
SKEIN_INLINE __m256i LoadBits(const uint16_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
SKEIN_INLINE Vec LoadBf16(const uint16_t* p) { return {WidenBf16(LoadBits(p))}; }
SKEIN_INLINE Vec LoadF16(const uint16_t* p) { return {_mm512_cvtph_ps(LoadBits(p))}; }
SKEIN_INLINE Vec LoadBf16Tail(const uint16_t* p, int64_t count) {
  return {WidenBf16(_mm256_maskz_loadu_epi16(TailMask(count), p))};
}
SKEIN_INLINE Vec LoadF16Tail(const uint16_t* p, int64_t count) {
  return {_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(TailMask(count), p))};
}

SKEIN_INLINE Vec Add(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
SKEIN_INLINE Vec Sub(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
SKEIN_INLINE Vec Mul(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
SKEIN_INLINE Vec Div(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
SKEIN_INLINE Vec Fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
SKEIN_INLINE Vec Min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
SKEIN_INLINE Vec Max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
SKEIN_INLINE Vec Abs(Vec a) { return {_mm512_abs_ps(a.v)}; }
// The magnitude of `a` (which must not be negative) with the sign of `b`.
SKEIN_INLINE Vec WithSign(Vec a, Vec b) {
  return {_mm512_or_ps(a.v, _mm512_and_ps(b.v, _mm512_set1_ps(-0.0f)))};
}
// Per lane a < b ? x : y.
SKEIN_INLINE Vec IfLess(Vec a, Vec b, Vec x, Vec y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
}
// x * 2^n for integral n in [-252, 252].
SKEIN_INLINE Vec Scale(Vec x, Vec n) {
  const __m512i whole = _mm512_cvtps_epi32(n.v);
  const __m512i half = _mm512_srai_epi32(whole, 1);
  const __m512i bias = _mm512_set1_epi32(127);
  const __m512i first = _mm512_slli_epi32(_mm512_add_epi32(half, bias), 23);
  const __m512i second =
      _mm512_slli_epi32(_mm512_add_epi32(_mm512_sub_epi32(whole, half), bias), 23);
  return {
      _mm512_mul_ps(_mm512_mul_ps(x.v, _mm512_castsi512_ps(first)), _mm512_castsi512_ps(second))};
}

SKEIN_INLINE float Sum(Vec a) {
  const __m256 s8 = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_shuffle_ps(s2, s2, 1)));
}
// Lane i is Sum(v[i]). Each level adds halves of two vectors at once: of one they stay in their
// place, of the other they change it, which takes a single shuffle per pair.
SKEIN_INLINE Vec SumEach(const Vec* v) {
  const __m512i swap_quarters =
      _mm512_setr_epi32(4, 5, 6, 7, 16, 17, 18, 19, 12, 13, 14, 15, 24, 25, 26, 27);
  const __m512i swap_lanes =
      _mm512_setr_epi32(1, 16, 3, 18, 5, 20, 7, 22, 9, 24, 11, 26, 13, 28, 15, 30);
  __m512 t[8], u[4], w[2];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    t[i] = _mm512_add_ps(_mm512_mask_blend_ps(0xFF00, v[i].v, v[i + 8].v),
                         _mm512_shuffle_f32x4(v[i].v, v[i + 8].v, 0x4E));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    u[i] = _mm512_add_ps(_mm512_mask_blend_ps(0xF0F0, t[i], t[i + 4]),
                         _mm512_permutex2var_ps(t[i], swap_quarters, t[i + 4]));
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    w[i] = _mm512_add_ps(_mm512_mask_blend_ps(0xCCCC, u[i], u[i + 2]),
                         _mm512_shuffle_ps(u[i], u[i + 2], 0x4E));
  }
  return {_mm512_add_ps(_mm512_mask_blend_ps(0xAAAA, w[0], w[1]),
                        _mm512_permutex2var_ps(w[0], swap_lanes, w[1]))};
}

}  // namespace skein::avx512
