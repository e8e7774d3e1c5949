// A head's state in a step that gives each sequence one token. With S the state before the token,
// both products with it are taken at once:
//   z = S q    y = S (w r) - z (b . r) + v (k . r)
#pragma once

#include <cstdint>

#include "kernels/cuda/wkv_state.cuh"
#include "kernels/cuda/wkv_tokens.cuh"
#include "kernels/cuda/wkv_vectors.cuh"

namespace skein::cuda {

// How `warps` warps hold a head's state: a state row lies in kLanes neighbouring lanes, a load of a
// warp takes kGroups rows, and a warp has kRows such loads one behind the other. Blocks have
// `block_warps` of them: all of a head's where its outputs are normalised together.
template <int N, typename State, int warps, int block_warps>
struct DecodeShape {
  static constexpr int kWarps = warps;
  static constexpr int kBlockWarps = block_warps;
  static constexpr int kParts = kWarps / kBlockWarps;  // blocks of a head
  static constexpr int kLanes = 8;
  static constexpr int kGroups = kWarp / kLanes;
  static constexpr int kRows = N / (kGroups * kWarps);  // of a lane
  static constexpr int kWarpRows = N / kWarps;
  static constexpr int kBatch = kLanes / 2;  // rows whose sums are taken together
  static constexpr int kKeys = N / kLanes;
  static constexpr int kChunk = 16 / sizeof(State);  // keys of a load
  static constexpr int kChunks = kKeys / kChunk;
  // Blocks on a multiprocessor: 16 warps of up to 128 registers, 12 of up to 168 with long rows.
  static constexpr int kMinBlocks = (N > 64 ? 12 : 16) / kBlockWarps;

  // Of the warp's rows: the lane's part of them, and where in it chunk c of its row p stands.
  template <typename T>
  __device__ static T* Mine(T* memory) {
    return memory + threadIdx.x % kWarp / kLanes * N;
  }
  __device__ static int Offset(int p, int c) { return p * kGroups * N + Key(c); }
  // The value channel of the lane's row p, among the warp's.
  __device__ static int Row(int p) { return p * kGroups + threadIdx.x % kWarp / kLanes; }

  static_assert(kWarps % kBlockWarps == 0 && kWarpRows <= 2 * kWarp && kRows % kBatch == 0 &&
                kKeys % kChunk == 0);

  // The first of the lane's keys in chunk c.
  __device__ static int Key(int c) { return c * kChunk * kLanes + threadIdx.x % kLanes * kChunk; }
  // Where key j stands in shared memory so that lanes read four keys each without bank conflicts.
  __device__ static int Place(int j) {
    if constexpr (kChunk == 4) return j;
    const int block = j / (kChunk * kLanes) * kChunk * kLanes, at = j % (kChunk * kLanes);
    return block + at % kChunk / 4 * 4 * kLanes + at / kChunk * 4 + at % 4;
  }
};

// A token's vectors of one head in shared memory.
template <int N, typename Shape>
struct DecodeVectors {
  enum Vector { kQ, kWR, kW, kK, kB, kCount };
  alignas(16) float data[kCount][N];

  // By a warp.
  __device__ void Put(const KeyVectors<N>& x) {
#pragma unroll
    for (int i = 0; i < KeyVectors<N>::kCount; ++i) {
      if (!KeyPairs<N>::Owned(i)) continue;
      const int at = Shape::Place(2 * KeyPairs<N>::Pair(i));
      const auto put = [&](Vector vector, float2 pair) {
        *reinterpret_cast<float2*>(&data[vector][at]) = pair;
      };
      const float2 w = make_float2(exp2f(x.log_w[i].x), exp2f(x.log_w[i].y));
      put(kQ, x.q[i]);
      put(kWR, make_float2(w.x * x.r[i].x, w.y * x.r[i].y));
      put(kW, w);
      put(kK, x.k[i]);
      put(kB, x.b[i]);
    }
    __syncwarp();
  }
  __device__ void Get(Vector vector, int chunk, float (&to)[Shape::kChunk]) const {
#pragma unroll
    for (int i = 0; i < Shape::kChunk; i += 4) {
      const float4 x =
          *reinterpret_cast<const float4*>(&data[vector][Shape::Place(Shape::Key(chunk) + i)]);
      to[i] = x.x, to[i + 1] = x.y, to[i + 2] = x.z, to[i + 3] = x.w;
    }
  }
};

// A warp's rows of the state, from `memory` on, in registers from the beginning.
template <int N, typename State, typename Shape>
class HeldRows {
 public:
  __device__ explicit HeldRows(State* memory) : memory_(Shape::Mine(memory)) {
#pragma unroll
    for (int p = 0; p < Shape::kRows; ++p) {
#pragma unroll
      for (int c = 0; c < Shape::kChunks; ++c) raw_[p][c].LoadStreaming(At(p, c));
    }
  }
  __device__ void Get(int p, int c, float (&to)[Shape::kChunk]) const { Widen(raw_[p][c], to); }
  __device__ State* At(int p, int c) const { return memory_ + Shape::Offset(p, c); }

 private:
  State* const memory_;
  Packed<State, Shape::kChunk> raw_[Shape::kRows][Shape::kChunks];
};

// The same where they stay in shared memory.
template <int N, typename State, typename Shape>
class SharedRows {
 public:
  __device__ explicit SharedRows(State* memory) : memory_(Shape::Mine(memory)) {}
  __device__ void Get(int p, int c, float (&to)[Shape::kChunk]) const { LoadTo(to, At(p, c)); }
  __device__ State* At(int p, int c) const { return memory_ + Shape::Offset(p, c); }

 private:
  State* const memory_;
};

// Rows [first, first + kBatch) of the lane: row first + p has value channel Shape::Row(first + p)
// of the warp. Returns to lane p of a group z of row p, to lane kBatch + p the product of S and w
// r.
template <int N, typename Shape, typename Rows>
__device__ float RowProducts(const Rows& rows, const DecodeVectors<N, Shape>& x, int first) {
  using Vectors = DecodeVectors<N, Shape>;
  float sums[2 * Shape::kBatch] = {};
#pragma unroll
  for (int c = 0; c < Shape::kChunks; ++c) {
    float q[Shape::kChunk], wr[Shape::kChunk], s[Shape::kChunk];
    x.Get(Vectors::kQ, c, q), x.Get(Vectors::kWR, c, wr);
#pragma unroll
    for (int p = 0; p < Shape::kBatch; ++p) {
      rows.Get(first + p, c, s);
#pragma unroll
      for (int j = 0; j < Shape::kChunk; ++j) {
        sums[p] = fmaf(s[j], q[j], sums[p]);
        sums[Shape::kBatch + p] = fmaf(s[j], wr[j], sums[Shape::kBatch + p]);
      }
    }
  }
  return SpreadSum<2 * Shape::kBatch, Shape::kLanes>(sums);
}

// Their new values, to where they came from. `field_row`: see RoundingNoise, of the warp's first
// row.
template <int N, typename Shape, typename Rows>
__device__ void UpdateRows(const Rows& rows, const DecodeVectors<N, Shape>& x, int first,
                           const float (&z)[Shape::kBatch], const float (&v)[Shape::kBatch],
                           uint32_t position, uint32_t field_row) {
  using Vectors = DecodeVectors<N, Shape>;
#pragma unroll
  for (int c = 0; c < Shape::kChunks; ++c) {
    float w[Shape::kChunk], k[Shape::kChunk], b[Shape::kChunk], s[Shape::kChunk];
    x.Get(Vectors::kW, c, w), x.Get(Vectors::kK, c, k), x.Get(Vectors::kB, c, b);
    const int key = Shape::Key(c);
#pragma unroll
    for (int p = 0; p < Shape::kBatch; ++p) {
      rows.Get(first + p, c, s);
#pragma unroll
      for (int j = 0; j < Shape::kChunk; ++j) {
        s[j] = fmaf(v[p], k[j], fmaf(-z[p], b[j], s[j] * w[j]));
      }
      StoreState(rows.At(first + p, c),
                 RoundingNoise(position, field_row + Shape::Row(first + p), key), key, s);
    }
  }
}

// The outputs of a warp's rows, a pair of value channels by each lane.
template <int N, typename Stage, typename Shape>
class DecodeOutputs {
 public:
  // Asks for what they need.
  __device__ void Load(const Stage& stage, int64_t row, int head, int first) {
    row_ = row;
    at_ = first + 2 * (threadIdx.x % kWarp);
    channel_ = static_cast<int64_t>(head) * N + at_;
    mine_ = at_ < first + Shape::kWarpRows;
    if (!mine_) return;
    gate_ = stage.template LoadGate<2>(row, channel_);
    raw_ = stage.template LoadValues<2>(row, channel_);
  }
  __device__ void PutValues(const Stage& stage, float* v) {
    if (!mine_) return;
    stage.template MakeValues<2>(raw_, v_);
    stage.template PublishValues<2>(row_, channel_, v_);
    *reinterpret_cast<float2*>(v + at_) = make_float2(v_[0], v_[1]);
  }
  // y of the block's rows is in shared memory: of the whole head with Stage::kNormalised.
  __device__ void Finish(const Stage& stage, const float* y, float bonus) const {
    float mean = 0, scale = 1;
    if constexpr (Stage::kNormalised) {
      const int lane = threadIdx.x % kWarp;
      float mine[N / kWarp], sum = 0, squares = 0;
#pragma unroll
      for (int i = 0; i < N / kWarp; ++i) sum += mine[i] = y[lane + i * kWarp];
      mean = WarpSum(sum) / N;
#pragma unroll
      for (int i = 0; i < N / kWarp; ++i) {
        squares = fmaf(mine[i] - mean, mine[i] - mean, squares);
      }
      scale = rsqrtf(WarpSum(squares) / N + stage.norm_eps);
    }
    if (!mine_) return;
    const float normed[2] = {(y[at_] - mean) * scale, (y[at_ + 1] - mean) * scale};
    stage.template Finish<2>(row_, channel_, gate_, bonus, v_, normed);
  }

 private:
  int64_t row_ = 0, channel_ = 0;
  int at_ = 0;
  bool mine_ = false;
  typename Stage::template Gate<2> gate_;
  typename Stage::template RawValues<2> raw_;
  float v_[2];
};

// A token's vectors as a warp has them: to `x`, but for what is returned, b . r and k . r.
template <int N, typename Shape>
__device__ float2 PutKeys(const KeyVectors<N>& keys, DecodeVectors<N, Shape>& x) {
  x.Put(keys);
  float2 along = make_float2(0, 0);
#pragma unroll
  for (int i = 0; i < KeyVectors<N>::kCount; ++i) {
    along.x = fmaf(keys.b[i].x, keys.r[i].x, fmaf(keys.b[i].y, keys.r[i].y, along.x));
    along.y = fmaf(keys.k[i].x, keys.r[i].x, fmaf(keys.k[i].y, keys.r[i].y, along.y));
  }
  return WarpSum2(along.x, along.y);
}

// A warp's rows of a head, from value channel `first` on: reads v, writes y and the rows.
template <int N, typename Shape, typename Rows>
__device__ void DecodeRows(const Rows& rows, const DecodeVectors<N, Shape>& x, float2 along,
                           const float* v, float* y, int first, uint32_t position, int head) {
  constexpr int kBatch = Shape::kBatch;
  const int lane = threadIdx.x % Shape::kLanes;
#pragma unroll
  for (int i = 0; i < Shape::kRows; i += kBatch) {
    const float sum = RowProducts<N, Shape>(rows, x, i);
    float z[kBatch], values[kBatch];
#pragma unroll
    for (int p = 0; p < kBatch; ++p) {
      const int at = first + Shape::Row(i + p);
      z[p] = __shfl_sync(~0u, sum, p, Shape::kLanes);
      values[p] = v[at];
      if (lane == kBatch + p) y[at] = fmaf(values[p], along.y, fmaf(-z[p], along.x, sum));
    }
    UpdateRows<N, Shape>(rows, x, i, z, values, position, static_cast<uint32_t>(head * N + first));
  }
}

}  // namespace skein::cuda
