// Second kernel of the chunked recurrence (wkv_chunk_layout.cuh): along a sequence, chunk by chunk,
// with the state of a head in registers, in fp32. Half of the warps carry the state, 16 value
// channels each; the others finish what those put out.
#pragma once

#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/wkv_chunk.cuh"

namespace skein::cuda {

// Barriers of a part of the block, by number; 0 is that of __syncthreads.
enum ScanBarrier { kCarriersMeet = 1, kFilled = 2, kDrained = 4 };  // the last two: one per buffer
__device__ inline void BarrierWait(int barrier, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}
__device__ inline void BarrierArrive(int barrier, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}
__device__ inline void CopyAsync16(void* to, const void* from) {
  const uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
}

template <int N, typename T>
struct ScanShared {
  static constexpr int kStages = N == 128 ? 2 : 3;
  static constexpr int kBuffers = N == 64 ? 2 : 1;  // of y
  static constexpr int kRow = N + 4;  // floats of a row of y, so that columns spread over the banks

  struct Stage {
    alignas(16) char bytes[ChunkResult<N, T>::kScanBytes];
    __device__ const ChunkResult<N, T>& result() const {
      return *reinterpret_cast<const ChunkResult<N, T>*>(bytes);
    }
  };
  Stage stages[kStages];
  float y[kBuffers][kChunkTokens][kRow];
};

// A warp with 16 value channels of the state.
template <int N, typename T, typename State>
class StateCarrier {
 public:
  static constexpr int kKeyTiles = N / 16;

  __device__ StateCarrier(int tile) : tile_(tile) {}

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
  // y of a chunk, as [token][value].
  __device__ void Read(const ChunkResult<N, T>& chunk,
                       float (&y)[kChunkTokens][ScanShared<N, T>::kRow]) const {
    Tile state[kKeyTiles];
    Operand(state);
#pragma unroll
    for (int t = 0; t < kChunkBlocks; ++t) {
      Sums sums = Widen<T>(ReadTile(chunk.y_local[tile_][t].lanes));
#pragma unroll
      for (int k = 0; k < kKeyTiles; ++k) {
        MulAdd<T>(sums, state[k], ReadTile(chunk.readout[t][k].lanes));
      }
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        const int token = t * 16 + j / 4 * 8 + Tile::Column() + j % 2;
        y[token][tile_ * 16 + Tile::Row() + j / 2 % 2 * 8] = sums.s[j / 4][j % 4];
      }
    }
  }
  __device__ void Advance(const ChunkResult<N, T>& chunk) {
    Tile state[kKeyTiles];
    Operand(state);
#pragma unroll
    for (int i = 0; i < kKeyTiles; ++i) {
      const Sums delta = Widen<T>(ReadTile(chunk.delta[tile_][i].lanes));
      const float* decay = chunk.decay + i * 16 + Tile::Column();
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        float& s = state_[i].s[j / 4][j % 4];
        s = fmaf(s, decay[j / 4 * 8 + j % 2], delta.s[j / 4][j % 4]);
      }
#pragma unroll
      for (int k = 0; k < kKeyTiles; ++k) {
        MulAdd<T>(state_[i], state[k], ReadTile(chunk.transition[i][k].lanes));
      }
    }
  }

 private:
  // Register pair j of a tile: its row, and its first column in key tile i.
  __device__ int Row(int j) const { return tile_ * 16 + Tile::Row() + j % 2 * 8; }
  __device__ int Key(int i, int j) const { return i * 16 + Tile::Column() + j / 2 * 8; }
  __device__ void Operand(Tile (&state)[kKeyTiles]) const {
#pragma unroll
    for (int k = 0; k < kKeyTiles; ++k) state[k] = Narrow<T>(state_[k]);
  }

  const int tile_;
  Sums state_[kKeyTiles];
};

// Reads what the first kernel left for the scan, a chunk at a time; by the carrying warps.
template <int N, typename T>
class ChunkQueue {
 public:
  __device__ ChunkQueue(ScanShared<N, T>& shared, const ChunkRange<N, T>& range, int first,
                        int count)
      : shared_(shared), range_(range), first_(first), count_(count) {
    for (int i = 0; i + 1 < kStages; ++i) Fetch(i);
  }
  // The stage of chunk c, which stays until the next call.
  __device__ const ChunkResult<N, T>& Take(int c) {
    asm volatile("cp.async.wait_group %0;" ::"n"(kStages - 2) : "memory");
    BarrierWait(kCarriersMeet, 2 * N);
    Fetch(c + kStages - 1);
    return shared_.stages[c % kStages].result();
  }

 private:
  static constexpr int kStages = ScanShared<N, T>::kStages;
  __device__ void Fetch(int c) {
    if (c < count_) {
      const char* from = reinterpret_cast<const char*>(&range_.At(first_ + c));
      char* to = shared_.stages[c % kStages].bytes;
      for (int i = threadIdx.x * 16; i < ChunkResult<N, T>::kScanBytes; i += 2 * N * 16) {
        CopyAsync16(to + i, from + i);
      }
    }
    asm volatile("cp.async.commit_group;" ::: "memory");
  }

  ScanShared<N, T>& shared_;
  const ChunkRange<N, T>& range_;
  const int first_, count_;
};

// Tokens `first`, first + stride, ... of a chunk from y to the outputs; a token by kLanes lanes.
template <int N, typename T, typename Stage>
class ChunkFinisher {
 public:
  static constexpr int kWidth = N == 64 ? 8 : 4;  // channels of a lane
  static constexpr int kLanes = N == 64 ? 8 : kWarp;
  static constexpr int kTokens = kWarp / kLanes * (N / 16);  // at once, by all finishing warps
  static constexpr int kTurns = (kChunkTokens + kTokens - 1) / kTokens;

  __device__ ChunkFinisher(const Stage& stage, int warp, int head)
      : stage_(stage),
        first_(warp * (kWarp / kLanes) + threadIdx.x % kWarp / kLanes),
        at_(threadIdx.x % kLanes * kWidth),
        channel_(static_cast<int64_t>(head) * N + at_) {}

  // What can be read before y is there.
  __device__ void Prepare(const ChunkResult<N, T>& result, const Chunk& chunk) {
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
      const int token = first_ + i * kTokens;
      if (at_ >= N || token >= chunk.rows) continue;
      gates_[i] = stage_.template LoadGate<kWidth>(chunk.begin + token, channel_);
      values_[i].Load(&result.values[token][at_]);
      bonus_[i] = result.bonus[token];
    }
  }
  __device__ void Finish(const float (&y)[kChunkTokens][ScanShared<N, T>::kRow],
                         const Chunk& chunk) const {
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
      const int token = first_ + i * kTokens;
      float mine[kWidth] = {}, values[kWidth];
      if (at_ < N && token < chunk.rows) LoadTo(mine, &y[token][at_]);
      if constexpr (Stage::kNormalised) Normalise(mine);
      if (at_ >= N || token >= chunk.rows) continue;
      Widen(values_[i], values);
      stage_.template Finish<kWidth>(chunk.begin + token, channel_, gates_[i], bonus_[i], values,
                                     mine);
    }
  }

 private:
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
  const int first_, at_;
  const int64_t channel_;
  typename Stage::template Gate<kWidth> gates_[kTurns];
  Packed<T, kWidth> values_[kTurns];
  float bonus_[kTurns];
};

// Grid (head, sequence), 2 * N / 16 warps. `early_state`: see TokenLimits.
template <int N, typename T, typename State, typename Stage>
__global__ void __launch_bounds__(4 * N)
    WkvScanKernel(const __grid_constant__ Stage stage, const WkvSequences sequences,
                  const ChunkPlan plan, const ChunkRange<N, T> range, const bool early_state) {
  extern __shared__ __align__(128) char memory[];
  ScanShared<N, T>& shared = *reinterpret_cast<ScanShared<N, T>*>(memory);
  const int warp = threadIdx.x / kWarp, head = range.first_head + blockIdx.x;
  constexpr int kBuffers = ScanShared<N, T>::kBuffers;
  const int sequence = blockIdx.y;
  const int chunks = plan.Chunks(sequences, sequence);
  if (chunks == 0) {
    DependencyWait();
    return;
  }
  const int first = plan.ChunksBefore(sequences, sequence);
  const int begin = sequences.begin(sequence), end = sequences.end(sequence);
  if (warp < N / 16) {
    State* state = sequences.Head<State>(sequences.slots[sequence], head, N);
    StateCarrier<N, T, State> carrier(warp);
    if (early_state) carrier.Load(state);
    DependencyWait();
    if (!early_state) carrier.Load(state);
    ChunkQueue<N, T> queue(shared, range, first, chunks);
    for (int c = 0; c < chunks; ++c) {
      const ChunkResult<N, T>& chunk = queue.Take(c);
      const int buffer = c % kBuffers;
      if (c >= kBuffers) BarrierWait(kDrained + buffer, 4 * N);
      carrier.Read(chunk, shared.y[buffer]);
      BarrierArrive(kFilled + buffer, 4 * N);
      carrier.Advance(chunk);
    }
    ReleaseDependents();
    carrier.Store(state, sizeof(State) == 2 ? sequences.positions[end - 1] : 0, head);
  } else {
    DependencyWait();
    ChunkFinisher<N, T, Stage> finisher(stage, warp - N / 16, head);
    for (int c = 0; c < chunks; ++c) {
      const int row = begin + c * kChunkTokens;
      const Chunk chunk = {row, min(kChunkTokens, end - row)};
      finisher.Prepare(range.At(first + c), chunk);
      const int buffer = c % kBuffers;
      BarrierWait(kFilled + buffer, 4 * N);
      finisher.Finish(shared.y[buffer], chunk);
      if (c + kBuffers < chunks) BarrierArrive(kDrained + buffer, 4 * N);
    }
    ReleaseDependents();
  }
}

}  // namespace skein::cuda
