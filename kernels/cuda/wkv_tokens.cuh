// The RWKV-7 recurrence token by token, for short prompts (one token each: wkv_decode.cuh): the
// state of a head passes through registers, once in and once out.
//
// A Stage says what surrounds the recurrence. It is a plain struct, copied to the kernel:
//   void Keys<N>(int64_t row, int head, KeyVectors<N>&)      by a whole warp
//   void Values<C>(int64_t row, int64_t channel, float (&v)[C])   C value channels, C = 1, 2, 4, 8;
//       channel counts over all heads
//   void PublishValues<C>(row, channel, v)   called once for each channel of a row
//   Gate<C>: what Finish reads beside y, got by LoadGate<C>(row, channel)
//   void Finish<C>(row, channel, gate, bonus, v, y)   stores C outputs
//   kNormalised: y is centred and scaled to unit variance per head first, with `norm_eps`
//   kHasFp16States: states may be fp16
#pragma once

#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/wkv_state.cuh"
#include "kernels/cuda/wkv_vectors.cuh"

namespace skein::cuda {

// How a block holds a head's state: a state row lies in kLanes neighbouring lanes, a lane has
// kPasses consecutive rows.
template <int N, typename State>
struct HeadShape {
  static constexpr int kLanes = N == 128 ? 16 : 8;
  static constexpr int kKeys = N / kLanes;  // of a lane
  static constexpr int kPasses = N == 128 ? 8 : 4;
  static constexpr int kGroups = kWarp / kLanes;  // of lanes, in a warp
  static constexpr int kWarpRows = kGroups * kPasses;
  static constexpr int kMinWarps = N == 64 ? 20 : 16;  // on a multiprocessor, measured at N = 64
  // Keys of a lane that are neighbours; their load is 16 bytes wide where that comes out even.
  static constexpr int kChunk = sizeof(State) == 4 || kKeys % 8 != 0 ? 4 : 8;
  static constexpr int kChunks = kKeys / kChunk;

  // The first of the lane's keys in chunk c.
  __device__ static int Key(int c) { return c * kChunk * kLanes + threadIdx.x % kLanes * kChunk; }
  // Where key `j` stands in shared memory so that reading four at a time meets no bank twice.
  __device__ static int Place(int j) {
    if constexpr (kChunk == 4) return j;
    const int block = j / (kChunk * kLanes) * kChunk * kLanes, at = j % (kChunk * kLanes);
    return block + at % kChunk / 4 * 4 * kLanes + at / kChunk * 4 + at % 4;
  }
};

// What a block takes of a head: all of it where y is normalised over it, else two warps' rows, so
// that a multiprocessor has blocks in every phase.
template <int N, typename State, typename Stage>
struct BlockShape {
  static constexpr int kWarps = Stage::kNormalised ? N / HeadShape<N, State>::kWarpRows : 2;
  static constexpr int kRows = kWarps * HeadShape<N, State>::kWarpRows;  // value channels
  static constexpr int kParts = N / kRows;
  static constexpr int kThreads = kWarps * kWarp;
  static constexpr int kMinBlocks = HeadShape<N, State>::kMinWarps / kWarps;
};

// Sums over groups of kLanes lanes, kCount of them at once; lane l of the group gets number
// l / (kLanes / kCount).
template <int kCount, int kLanes>
__device__ inline float SpreadSum(const float (&x)[kCount]) {
  if constexpr (kCount == 1) {
    float sum = x[0];
#pragma unroll
    for (int offset = kLanes / 2; offset > 0; offset /= 2) {
      sum += __shfl_xor_sync(~0u, sum, offset);
    }
    return sum;
  } else {
    constexpr int kHalf = kCount / 2;
    const bool upper = threadIdx.x % kLanes >= kLanes / 2;
    float sums[kHalf];
#pragma unroll
    for (int i = 0; i < kHalf; ++i) {
      const float mine = upper ? x[i + kHalf] : x[i], other = upper ? x[i] : x[i + kHalf];
      sums[i] = mine + __shfl_xor_sync(~0u, other, kLanes / 2);
    }
    return SpreadSum<kHalf, kLanes / 2>(sums);
  }
}

// r, w, k, q and b of a token in shared memory, from where each lane of the warp reads its keys.
template <int N, typename State>
struct WarpVectors {
  using Shape = HeadShape<N, State>;
  enum Vector { kR, kW, kK, kQ, kB, kCount };
  static constexpr int kFloats = kCount * N;

  float* shared;

  __device__ void Put(const KeyVectors<N>& x) const {
    __syncwarp();
#pragma unroll
    for (int i = 0; i < KeyVectors<N>::kCount; ++i) {
      if (!KeyPairs<N>::Owned(i)) continue;
      float2* to = reinterpret_cast<float2*>(shared + Shape::Place(2 * KeyPairs<N>::Pair(i)));
      to[kR * N / 2] = x.r[i];
      to[kW * N / 2] = make_float2(exp2f(x.log_w[i].x), exp2f(x.log_w[i].y));
      to[kK * N / 2] = x.k[i];
      to[kQ * N / 2] = x.q[i];
      to[kB * N / 2] = x.b[i];
    }
    __syncwarp();
  }
  __device__ void Get(Vector vector, float (&to)[Shape::kKeys]) const {
#pragma unroll
    for (int i = 0; i < Shape::kKeys; i += 4) {
      const int key = Shape::Key(i / Shape::kChunk) + i % Shape::kChunk;
      const float4 x = *reinterpret_cast<const float4*>(shared + vector * N + Shape::Place(key));
      to[i] = x.x, to[i + 1] = x.y, to[i + 2] = x.z, to[i + 3] = x.w;
    }
  }
};

// The lane's part of the state: kPasses rows from `row` on, as loaded or as fp32.
template <int N, typename State>
struct LaneState {
  using Shape = HeadShape<N, State>;
  Packed<State, Shape::kChunk> raw[Shape::kPasses][Shape::kChunks];

  __device__ void Load(const State* head, int row) {
#pragma unroll
    for (int p = 0; p < Shape::kPasses; ++p) {
#pragma unroll
      for (int c = 0; c < Shape::kChunks; ++c) {
        raw[p][c].LoadStreaming(head + (row + p) * N + Shape::Key(c));
      }
    }
  }
  __device__ void Unpack(float (&s)[Shape::kPasses][Shape::kKeys]) const {
#pragma unroll
    for (int p = 0; p < Shape::kPasses; ++p) {
#pragma unroll
      for (int j = 0; j < Shape::kKeys; ++j) {
        s[p][j] = Widen(raw[p][j / Shape::kChunk].values[j % Shape::kChunk]);
      }
    }
  }
  __device__ static void Store(const float (&s)[Shape::kPasses][Shape::kKeys], State* head, int row,
                               uint32_t position, uint32_t field_row) {
#pragma unroll
    for (int p = 0; p < Shape::kPasses; ++p) {
#pragma unroll
      for (int c = 0; c < Shape::kChunks; ++c) {
        float part[Shape::kChunk];
#pragma unroll
        for (int j = 0; j < Shape::kChunk; ++j) part[j] = s[p][c * Shape::kChunk + j];
        const int key = Shape::Key(c);
        StoreState(head + (row + p) * N + key, RoundingNoise(position, field_row + p, key), key,
                   part);
      }
    }
  }
};

// One token: the state moves on, and y of one row comes back, of pass l / (kLanes / kPasses) for
// lane l of a group.
template <int N, typename State>
__device__ inline float StepRows(
    const WarpVectors<N, State>& x, const float (&v)[HeadShape<N, State>::kPasses],
    float (&s)[HeadShape<N, State>::kPasses][HeadShape<N, State>::kKeys]) {
  using Shape = HeadShape<N, State>;
  using Vectors = WarpVectors<N, State>;
  constexpr int kPasses = Shape::kPasses, kKeys = Shape::kKeys, kLanes = Shape::kLanes;
  float part[kPasses], q[kKeys], w[kKeys], b[kKeys], k[kKeys], r[kKeys];
  x.Get(Vectors::kQ, q);
#pragma unroll
  for (int p = 0; p < kPasses; ++p) {
    part[p] = 0;
#pragma unroll
    for (int j = 0; j < kKeys; ++j) part[p] = fmaf(s[p][j], q[j], part[p]);
  }
  const float sum = SpreadSum<kPasses, kLanes>(part);
  x.Get(Vectors::kW, w), x.Get(Vectors::kB, b), x.Get(Vectors::kK, k), x.Get(Vectors::kR, r);
#pragma unroll
  for (int p = 0; p < kPasses; ++p) {
    const float z = __shfl_sync(~0u, sum, p * (kLanes / kPasses), kLanes);
    part[p] = 0;
#pragma unroll
    for (int j = 0; j < kKeys; ++j) {
      s[p][j] = fmaf(v[p], k[j], fmaf(-z, b[j], s[p][j] * w[j]));
      part[p] = fmaf(s[p][j], r[j], part[p]);
    }
  }
  return SpreadSum<kPasses, kLanes>(part);
}

// y of kRows channels, complete in shared memory, to as many outputs; of a whole head where it is
// normalised.
template <int kRows, typename Stage>
__device__ inline void FinishRows(const Stage& stage, const float* y, const float* v,
                                  const typename Stage::template Gate<1>& gate, float bonus,
                                  int64_t row, int64_t channel) {
  const int lane = threadIdx.x % kWarp;
  float mean = 0, scale = 1;
  if constexpr (Stage::kNormalised) {
    float mine[kRows / kWarp], sum = 0, squares = 0;
#pragma unroll
    for (int i = 0; i < kRows / kWarp; ++i) sum += mine[i] = y[lane + i * kWarp];
    mean = WarpSum(sum) / kRows;
#pragma unroll
    for (int i = 0; i < kRows / kWarp; ++i) {
      squares = fmaf(mine[i] - mean, mine[i] - mean, squares);
    }
    scale = rsqrtf(WarpSum(squares) / kRows + stage.norm_eps);
  }
  const int i = threadIdx.x;
  if (i >= kRows) return;
  const float normed[1] = {(y[i] - mean) * scale}, value[1] = {v[i]};
  stage.template Finish<1>(row, channel + i, gate, bonus, value, normed);
}

// Sequences of more than `max_rows` rows are left to others. Where the kernel ahead in the stream
// is known to have waited for whoever wrote the states (`early_state`), they are on their way
// before it has ended.
struct TokenLimits {
  int max_rows;
  bool early_state;
};

// Grid (part of a head, sequence), the parts of a head being neighbours.
template <int N, typename State, typename Stage>
__global__ void __launch_bounds__(BlockShape<N, State, Stage>::kThreads,
                                  BlockShape<N, State, Stage>::kMinBlocks)
    WkvTokensKernel(const __grid_constant__ Stage stage, const WkvSequences sequences,
                    const TokenLimits limits) {
  using Shape = HeadShape<N, State>;
  using Block = BlockShape<N, State, Stage>;
  __shared__ __align__(16) float vectors[Block::kWarps][WarpVectors<N, State>::kFloats];
  __shared__ float y[2][Block::kRows], v_shared[2][Block::kRows];
  const int head = blockIdx.x / Block::kParts, sequence = blockIdx.y;
  const int slot = sequences.slots[sequence];
  const int begin = sequences.begin(sequence), end = sequences.end(sequence);
  if (slot < 0 || end - begin > limits.max_rows) {
    DependencyWait();
    return;
  }
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % Shape::kLanes;
  const int part = blockIdx.x % Block::kParts * Block::kRows;     // the block's first value channel
  const int row0 = threadIdx.x / Shape::kLanes * Shape::kPasses;  // the lane's, counted from there
  State* memory = sequences.Head<State>(slot, head, N);
  LaneState<N, State> loaded;
  if (!limits.early_state) DependencyWait();
  loaded.Load(memory, part + row0);
  if (limits.early_state) DependencyWait();
  ReleaseDependents();

  const int64_t channel = static_cast<int64_t>(head) * N + part;
  typename Stage::template Gate<1> gate;
  float v[Shape::kPasses], bonus;
  const WarpVectors<N, State> x = {vectors[warp]};
  const auto prepare = [&](int64_t row) {
    if (threadIdx.x < Block::kRows) gate = stage.template LoadGate<1>(row, channel + threadIdx.x);
    stage.template Values<Shape::kPasses>(row, channel + row0, v);
    KeyVectors<N> keys;
    stage.template Keys<N>(row, head, keys);
    bonus = keys.bonus;
    x.Put(keys);
  };
  prepare(begin);
  float s[Shape::kPasses][Shape::kKeys];
  loaded.Unpack(s);
  for (int64_t row = begin;;) {
    constexpr int kSpread = Shape::kLanes / Shape::kPasses;
    const int parity = row % 2;
    const float mine = StepRows<N, State>(x, v, s);
    if (lane % kSpread == 0) y[parity][row0 + lane / kSpread] = mine;
    if (lane == 0) {
      stage.template PublishValues<Shape::kPasses>(row, channel + row0, v);
#pragma unroll
      for (int p = 0; p < Shape::kPasses; ++p) v_shared[parity][row0 + p] = v[p];
    }
    __syncthreads();
    FinishRows<Block::kRows>(stage, y[parity], v_shared[parity], gate, bonus, row, channel);
    if (++row == end) break;
    prepare(row);
  }
  const uint32_t position = sizeof(State) == 2 ? sequences.positions[end - 1] : 0;
  LaneState<N, State>::Store(s, memory, part + row0, position, channel + row0);
}

}  // namespace skein::cuda
