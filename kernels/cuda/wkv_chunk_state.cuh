// The state's way through a chunk, and the outputs (wkv_chunk_products.cuh).
#pragma once

#include <cstdint>

#include "kernels/cuda/wkv_chunk_rows.cuh"

namespace skein::cuda {

// 16 value channels of a head's state, in fp32, by a warp.
template <int N, typename T>
class StateCarrier {
 public:
  static constexpr int kKeyTiles = N / 16;

  __device__ StateCarrier(int tile) : tile_(tile) {}

  template <typename State>
  __device__ void Load(const State* head) {
#pragma unroll
    for (int i = 0; i < kKeyTiles; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        Packed<State, 2> pair;
        pair.Load(head + Row(j) * N + Key(i, j));
        state_[i].s[j / 2][j % 2 * 2] = Widen(pair.values[0]);
        state_[i].s[j / 2][j % 2 * 2 + 1] = Widen(pair.values[1]);
      }
    }
  }
  template <typename State>
  __device__ void Store(State* head, uint32_t position, int head_index) const {
#pragma unroll
    for (int i = 0; i < kKeyTiles; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const float pair[2] = {state_[i].s[j / 2][j % 2 * 2], state_[i].s[j / 2][j % 2 * 2 + 1]};
        const RoundingNoise noise(position, head_index * N + Row(j), Key(i, j));
        StoreState(head + Row(j) * N + Key(i, j), noise, Key(i, j), pair);
      }
    }
  }
  // From the block of the chunk before.
  __device__ void Take(const float4* from) {
#pragma unroll
    for (int i = 0; i < 2 * kKeyTiles; ++i) {
      const float4 x = from[i * kWarp];
      float(&s)[4] = state_[i / 2].s[i % 2];
      s[0] = x.x, s[1] = x.y, s[2] = x.z, s[3] = x.w;
    }
  }
  // Of 2 * kKeyTiles, for the block of the next.
  __device__ float4 Vector(int i) const {
    const float(&s)[4] = state_[i / 2].s[i % 2];
    return make_float4(s[0], s[1], s[2], s[3]);
  }
  // Moves behind the chunk; returns the state before it as operands.
  struct Operands {
    Tile tiles[kKeyTiles];
  };
  __device__ Operands Advance(ChunkShared<N, T>& shared, const Sums (&delta)[kKeyTiles]) {
    const typename ChunkShared<N, T>::Matrix transition = shared.transition();
    Operands before;
#pragma unroll
    for (int i = 0; i < kKeyTiles; ++i) before.tiles[i] = Narrow<T>(state_[i]);
#pragma unroll
    for (int i = 0; i < kKeyTiles; ++i) {
      const float* decay = shared.decay + i * 16 + Tile::Column();
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        float& s = state_[i].s[j / 4][j % 4];
        s = fmaf(s, decay[j / 4 * 8 + j % 2], delta[i].s[j / 4][j % 4]);
      }
#pragma unroll
      for (int k = 0; k < kKeyTiles; ++k) {
        MulAdd<T>(state_[i], before.tiles[k], transition.Load(i * 16, k * 16));
      }
    }
    return before;
  }
  // Adds what comes out of the state before the chunk to y, [value][token], and leaves it in shared
  // memory as [token][value].
  __device__ void Read(ChunkShared<N, T>& shared, const Operands& before,
                       Sums (&y)[kChunkBlocks]) const {
    const typename ChunkShared<N, T>::Matrix readout = {shared.r};
#pragma unroll
    for (int t = 0; t < kChunkBlocks; ++t) {
#pragma unroll
      for (int k = 0; k < kKeyTiles; ++k) {
        MulAdd<T>(y[t], before.tiles[k], readout.Load(t * 16, k * 16));
      }
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        const int token = t * 16 + j / 4 * 8 + Tile::Column() + j % 2;
        shared.Output(token)[tile_ * 16 + Tile::Row() + j / 2 % 2 * 8] = y[t].s[j / 4][j % 4];
      }
    }
  }

 private:
  // Register pair j of a tile: its row, and its first column in key tile i.
  __device__ int Row(int j) const { return tile_ * 16 + Tile::Row() + j % 2 * 8; }
  __device__ int Key(int i, int j) const { return i * 16 + Tile::Column() + j / 2 * 8; }

  const int tile_;
  Sums state_[kKeyTiles];
};

// From y to the outputs; a token by kLanes lanes.
template <int N, typename T, typename Stage>
class ChunkFinisher {
 public:
  static constexpr int kWidth = N == 96 ? 4 : 8;  // channels of a lane
  static constexpr int kLanes = N == 96 ? kWarp : N / kWidth;
  static constexpr int kTokens = kWarp / kLanes * (N / 16);  // at once, by all warps
  static constexpr int kTurns = (kChunkTokens + kTokens - 1) / kTokens;

  __device__ ChunkFinisher(const Stage& stage, const Chunk& chunk, int head)
      : stage_(stage),
        chunk_(chunk),
        first_(threadIdx.x / kLanes),
        at_(threadIdx.x % kLanes * kWidth),
        channel_(static_cast<int64_t>(head) * N + at_) {}

  // What can be read before y is there.
  __device__ void Load() {
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
      if (!Owned(i)) continue;
      gates_[i] = stage_.template LoadGate<kWidth>(chunk_.begin + Token(i), channel_);
    }
  }
  __device__ void Finish(ChunkShared<N, T>& shared) const {
    const typename ChunkShared<N, T>::Matrix matrix = {shared.v};
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
      float y[kWidth] = {}, values[kWidth];
      if (Owned(i)) LoadTo(y, shared.Output(Token(i)) + at_);
      if constexpr (Stage::kNormalised) Normalise(y);
      if (!Owned(i)) continue;
      LoadTo(values, matrix.At(Token(i), at_));
      stage_.template Finish<kWidth>(chunk_.begin + Token(i), channel_, gates_[i],
                                     shared.bonus[Token(i)], values, y);
    }
  }

 private:
  __device__ int Token(int turn) const { return first_ + turn * kTokens; }
  __device__ bool Owned(int turn) const { return at_ < N && Token(turn) < chunk_.rows; }

  __device__ static float GroupSum(float x) {
#pragma unroll
    for (int offset = kLanes / 2; offset > 0; offset /= 2) {
      x += __shfl_xor_sync(~0u, x, offset);
    }
    return x;
  }
  __device__ void Normalise(float (&x)[kWidth]) const {
    float sum = 0, squares = 0;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) sum += x[j];
    const float mean = GroupSum(sum) / N;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      x[j] -= mean;
      squares = fmaf(x[j], x[j], squares);
    }
    const float scale = rsqrtf(GroupSum(at_ < N ? squares : 0.0f) / N + stage_.norm_eps);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) x[j] *= scale;
  }

  const Stage& stage_;
  const Chunk& chunk_;
  const int first_, at_;
  const int64_t channel_;
  typename Stage::template Gate<kWidth> gates_[kTurns];
};

}  // namespace skein::cuda
