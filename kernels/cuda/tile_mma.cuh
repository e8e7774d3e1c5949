// Tensor-core products of 16 x 16 tiles, for kernels that multiply many small matrices: every tile
// is held in one layout, whichever side of a product it takes. From compute capability 8.0 on.
#pragma once

#include <cstdint>

#include "kernels/cuda/math.cuh"

namespace skein::cuda {

// A 16 x 16 tile of fp16 or bf16, spread over a warp. With g = lane / 4 and t = lane % 4 the
// registers hold columns 2t, 2t + 1 of rows g and g + 8, then columns 2t + 8, 2t + 9 of the same.
struct Tile {
  uint32_t r[4];

  __device__ static int Row() { return threadIdx.x % kWarp / 4; }
  __device__ static int Column() { return threadIdx.x % 4 * 2; }
};

// A 16 x 16 tile of sums in fp32: the columns below 8, then those from 8 on, each in the order
// (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1).
struct Sums {
  float s[2][4] = {};
};

// fp16 stops at its largest number instead of becoming infinite.
template <typename T>
struct PairOf;
template <>
struct PairOf<__half> {
  using Type = __half2;
  __device__ static Type Narrow(float x, float y) {
    __half2 pair;
    asm("cvt.rn.satfinite.f16x2.f32 %0, %1, %2;"
        : "=r"(*reinterpret_cast<uint32_t*>(&pair))
        : "f"(y), "f"(x));
    return pair;
  }
  __device__ static float2 Widen(Type x) { return __half22float2(x); }
};
template <>
struct PairOf<__nv_bfloat16> {
  using Type = __nv_bfloat162;
  __device__ static Type Narrow(float x, float y) { return __floats2bfloat162_rn(x, y); }
  __device__ static float2 Widen(Type x) { return __bfloat1622float2(x); }
};

template <typename T>
__device__ inline uint32_t PackPair(float x, float y) {
  const typename PairOf<T>::Type pair = PairOf<T>::Narrow(x, y);
  return *reinterpret_cast<const uint32_t*>(&pair);
}
template <typename T>
__device__ inline float2 UnpackPair(uint32_t bits) {
  return PairOf<T>::Widen(*reinterpret_cast<const typename PairOf<T>::Type*>(&bits));
}
template <typename T>
__device__ inline uint32_t MulPair(uint32_t x, uint32_t y) {
  using Pair = typename PairOf<T>::Type;
  const Pair product = __hmul2(*reinterpret_cast<Pair*>(&x), *reinterpret_cast<Pair*>(&y));
  return *reinterpret_cast<const uint32_t*>(&product);
}
// One value in both places of a pair.
template <typename T>
__device__ inline uint32_t Twice(T x) {
  const uint32_t bits = *reinterpret_cast<const uint16_t*>(&x);
  return bits | bits << 16;
}

template <typename T>
__device__ inline Tile Narrow(const Sums& x) {
  return {{PackPair<T>(x.s[0][0], x.s[0][1]), PackPair<T>(x.s[0][2], x.s[0][3]),
           PackPair<T>(x.s[1][0], x.s[1][1]), PackPair<T>(x.s[1][2], x.s[1][3])}};
}
template <typename T>
__device__ inline Sums Widen(const Tile& x) {
  Sums sums;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 pair = UnpackPair<T>(x.r[i]);
    sums.s[i / 2][i % 2 * 2] = pair.x, sums.s[i / 2][i % 2 * 2 + 1] = pair.y;
  }
  return sums;
}

template <typename T>
__device__ inline void Mma(float (&d)[4], const Tile& a, uint32_t b0, uint32_t b1);
template <>
__device__ inline void Mma<__half>(float (&d)[4], const Tile& a, uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b0), "r"(b1));
}
template <>
__device__ inline void Mma<__nv_bfloat16>(float (&d)[4], const Tile& a, uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b0), "r"(b1));
}

// sums[i][j] += sum_k x[i][k] y[j][k]
template <typename T>
__device__ inline void MulAdd(Sums& sums, const Tile& x, const Tile& y) {
  Mma<T>(sums.s[0], x, y.r[0], y.r[2]);
  Mma<T>(sums.s[1], x, y.r[1], y.r[3]);
}

// Lane l of a warp names the 8 elements (row l % 16, columns from l / 16 * 8) of the tile in shared
// memory.
__device__ inline Tile LoadTile(const void* mine) {
  Tile tile;
  const uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(mine));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(tile.r[0]), "=r"(tile.r[1]), "=r"(tile.r[2]), "=r"(tile.r[3])
               : "r"(at)
               : "memory");
  return tile;
}
// The tile's transpose. Lane l names (row l % 8 + l / 16 * 8, columns from l / 8 % 2 * 8).
__device__ inline Tile LoadTransposed(const void* mine) {
  Tile tile;
  const uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(mine));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(tile.r[0]), "=r"(tile.r[1]), "=r"(tile.r[2]), "=r"(tile.r[3])
               : "r"(at)
               : "memory");
  return tile;
}

// A matrix of `kColumns` columns in shared memory whose tiles load without bank conflicts.
template <typename T, int kColumns>
struct TileMatrix {
  static constexpr int kStride = kColumns % 64 == 0 || kColumns == 16 ? kColumns : kColumns + 8;

  T* data;

  __device__ T* At(int row, int column) const {
    int chunk = column / 8;
    if constexpr (kColumns % 64 == 0) chunk ^= row % 8;
    if constexpr (kColumns == 16) chunk ^= row / 4 % 2;
    return data + row * kStride + chunk * 8 + column % 8;
  }
  __device__ void StorePair(int row, int column, float x, float y) const {
    *reinterpret_cast<uint32_t*>(At(row, column)) = PackPair<T>(x, y);
  }
  __device__ Tile Load(int row, int column) const {
    const int lane = threadIdx.x % kWarp;
    return LoadTile(At(row + lane % 16, column + lane / 16 * 8));
  }
  __device__ Tile Transposed(int row, int column) const {
    const int lane = threadIdx.x % kWarp;
    return LoadTransposed(At(row + lane % 8 + lane / 16 * 8, column + lane / 8 % 2 * 8));
  }
  __device__ void Store(int row, int column, const Tile& tile) const {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      *reinterpret_cast<uint32_t*>(
          At(row + Tile::Row() + i % 2 * 8, column + Tile::Column() + i / 2 * 8)) = tile.r[i];
    }
  }
};

}  // namespace skein::cuda
