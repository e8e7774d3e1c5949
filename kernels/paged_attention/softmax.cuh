// A warp's running softmax over 16 rows of queries and tiles of keys and values.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/paged_attention/tiles.cuh"

namespace skein::attention {

// A lane has the rows lane / 4 and lane / 4 + 8: "halves" 0 and 1. Scores are in base 2.
template <typename T, int kN, int kTokens>
struct Running {
  float out[kN / 8][4];
  float largest[2];
  float sum[2];  // of the weights of this lane's columns

  __device__ void Clear() {
#pragma unroll
    for (int i = 0; i < kN / 8; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) out[i][j] = 0;
    }
    largest[0] = largest[1] = -INFINITY;
    sum[0] = sum[1] = 0;
  }

  // The sum of all weights of a row half. Whole warps.
  __device__ float Weights(int half) const {
    float all = sum[half];
    all += __shfl_xor_sync(kAll, all, 1);
    return all + __shfl_xor_sync(kAll, all, 2);
  }

  // Takes in a tile: kTokens rows of keys, behind them as many of values. Of its tokens the rows of
  // half 0 see the first `visible0`, those of half 1 `visible1`; half 1 counts only if `wide`.
  __device__ void Add(const uint32_t (&q)[kN / 16][4], uint32_t tile, int visible0, int visible1,
                      bool wide, float scale) {
    float s[kTokens / 8][4];
    Score(q, tile, s);
    if (min(visible0, visible1) < kTokens) Hide(visible0, visible1, s);
    Weigh<0>(s, scale);
    if (wide) Weigh<1>(s, scale);
    AddValues(tile + kTokens * TileRows<kN>::kRowBytes, s, wide);
  }

 private:
  __device__ void Score(const uint32_t (&q)[kN / 16][4], uint32_t keys,
                        float (&s)[kTokens / 8][4]) {
    const int lane = threadIdx.x % kLanes;
    const int row = (lane & 7) + (lane >> 4) * 8, chunk = lane >> 3 & 1;
#pragma unroll
    for (int i = 0; i < kTokens / 8; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) s[i][j] = 0;
    }
#pragma unroll
    for (int j = 0; j < kN / 16; ++j) {
#pragma unroll
      for (int i = 0; i < kTokens / 16; ++i) {
        uint32_t k[4];
        LoadMatrices(keys + TileRows<kN>::Offset(i * 16 + row, 2 * j + chunk), k);
        MultiplyAdd(s[2 * i], q[j], k[0], k[1], T{});
        MultiplyAdd(s[2 * i + 1], q[j], k[2], k[3], T{});
      }
    }
  }

  __device__ void Hide(int visible0, int visible1, float (&s)[kTokens / 8][4]) {
    const int column = threadIdx.x % 4 * 2;
#pragma unroll
    for (int i = 0; i < kTokens / 8; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        if (i * 8 + column + j % 2 >= (j < 2 ? visible0 : visible1)) s[i][j] = -INFINITY;
      }
    }
  }

  // Scores of a row half turn into weights; the row's earlier sums follow its new maximum.
  template <int kHalf>
  __device__ void Weigh(float (&s)[kTokens / 8][4], float scale) {
    constexpr int kAt = 2 * kHalf;
    float m = -INFINITY;
#pragma unroll
    for (int i = 0; i < kTokens / 8; ++i) m = fmaxf(m, fmaxf(s[i][kAt], s[i][kAt + 1]));
    m = fmaxf(m, __shfl_xor_sync(kAll, m, 1));
    m = fmaxf(m, __shfl_xor_sync(kAll, m, 2));
    m = fmaxf(largest[kHalf], m * scale);
    // A row that sees nothing yet has no maximum: its weights are 2^-inf.
    const float reference = m == -INFINITY ? 0.0f : m;
    const float shrink = Exp2(largest[kHalf] - reference);
    if (__any_sync(kAll, shrink != 1.0f)) {
#pragma unroll
      for (int i = 0; i < kN / 8; ++i) {
        out[i][kAt] *= shrink;
        out[i][kAt + 1] *= shrink;
      }
    }
    float total = 0;
#pragma unroll
    for (int i = 0; i < kTokens / 8; ++i) {
#pragma unroll
      for (int j = kAt; j < kAt + 2; ++j) {
        s[i][j] = Exp2(fmaf(s[i][j], scale, -reference));
        total += s[i][j];
      }
    }
    sum[kHalf] = fmaf(sum[kHalf], shrink, total);
    largest[kHalf] = m;
  }

  __device__ void AddValues(uint32_t values, const float (&s)[kTokens / 8][4], bool wide) {
    const int lane = threadIdx.x % kLanes;
    const int row = (lane & 7) + (lane >> 3 & 1) * 8, chunk = lane >> 4;
#pragma unroll
    for (int i = 0; i < kTokens / 16; ++i) {
      uint32_t p[4] = {Pack(s[2 * i][0], s[2 * i][1], T{}), 0,
                       Pack(s[2 * i + 1][0], s[2 * i + 1][1], T{}), 0};
      if (wide) {
        p[1] = Pack(s[2 * i][2], s[2 * i][3], T{});
        p[3] = Pack(s[2 * i + 1][2], s[2 * i + 1][3], T{});
      }
#pragma unroll
      for (int j = 0; j < kN / 16; ++j) {
        uint32_t v[4];
        LoadMatricesTransposed(values + TileRows<kN>::Offset(i * 16 + row, 2 * j + chunk), v);
        MultiplyAdd(out[2 * j], p, v[0], v[1], T{});
        MultiplyAdd(out[2 * j + 1], p, v[2], v[3], T{});
      }
    }
  }
};

}  // namespace skein::attention
