// Decode steps of many sequences: as wkv_decode.cuh, but every warp has heads to work on one after
// the other, and while it does one the copy engine brings the next and takes the last away.
#pragma once

#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/stream.cuh"
#include "kernels/cuda/wkv_decode_head.cuh"

namespace skein::cuda {

// A warp's part of the shared memory.
template <int N, typename State>
struct RingShared {
  using Shape = DecodeShape<N, State, 1, 1>;
  static constexpr int kStages = 2;
  static constexpr int kHeadBytes = N * N * static_cast<int>(sizeof(State));
  static constexpr int kWarps = 12 * 8192 / kHeadBytes;  // of a multiprocessor

  alignas(128) State state[kStages][N * N];
  DecodeVectors<N, Shape> vectors;
  float y[N], v[N];
  uint64_t full[kStages];
};

// Brings the states of a warp's heads: of every `step`th from `first` on, of all heads of all
// sequences.
template <int N, typename State>
class HeadRing {
 public:
  using Shared = RingShared<N, State>;

  __device__ HeadRing(const WkvSequences& sequences, int heads, Shared& shared)
      : sequences_(sequences), heads_(heads), shared_(shared), policy_(EvictFirst()) {
    if (threadIdx.x % kWarp == 0) {
      for (uint64_t& barrier : shared.full) BarrierInit(SharedAddress(&barrier), 1);
      BarrierInitFence();
    }
    __syncwarp();
  }

  __device__ int total() const { return heads_ * sequences_.count; }
  __device__ int row(int item) const { return item / heads_; }
  __device__ int head(int item) const { return item % heads_; }
  // Null for a sequence that has nothing to do, and beyond the last.
  __device__ State* Memory(int item) const {
    const int slot = item < total() ? sequences_.slots[row(item)] : -1;
    return slot < 0 ? nullptr : sequences_.Head<State>(slot, head(item), N);
  }
  __device__ void Fetch(const State* from, int stage) const {
    if (from == nullptr || threadIdx.x % kWarp != 0) return;
    CopyBulk(SharedAddress(shared_.state[stage]), from, Shared::kHeadBytes,
             SharedAddress(&shared_.full[stage]), policy_);
  }
  // By all lanes, for a head that was fetched.
  __device__ void Wait(int stage) {
    BarrierWait(SharedAddress(&shared_.full[stage]), phases_ >> stage & 1);
    phases_ ^= 1u << stage;
  }
  // After __syncwarp.
  __device__ void Store(State* to, int stage) const {
    if (threadIdx.x % kWarp == 0) {
      StoreBulk(to, SharedAddress(shared_.state[stage]), Shared::kHeadBytes);
    }
  }
  // Until what was stored has been read, so that its stage is free.
  __device__ void WaitForStores() const {
    if (threadIdx.x % kWarp == 0) WaitForBulkReads();
    __syncwarp();
  }

 private:
  const WkvSequences& sequences_;
  const int heads_;
  Shared& shared_;
  const uint64_t policy_;
  uint32_t phases_ = 0;
};

// A head that a warp is to work on, and what it reads beside the state.
template <int N, typename State, typename Stage>
struct RingHead {
  State* memory = nullptr;  // of the state; null: nothing to do
  int head = 0;
  uint32_t position = 0;
  typename Stage::template RawKeys<N> raw = Stage::template NoKeys<N>();
  typename Stage::template KeyWeights<N> weights = {};
  DecodeOutputs<N, Stage, typename RingShared<N, State>::Shape> outputs;

  // Asks for everything but the state.
  __device__ void Load(const Stage& stage, const WkvSequences& sequences, int row) {
    if (sizeof(State) == 2) position = sequences.positions[row];
    stage.template LoadKeys<N>(row, head, raw);
    weights = stage.template LoadKeyWeights<N>(head);
    outputs.Load(stage, row, head, 0);
  }
  __device__ void MakeKeys(const Stage& stage, KeyVectors<N>& keys) const {
    if constexpr (Stage::kScalesKeys) {
      const float2 part = stage.template KeySums<N>(raw, weights), sums = WarpSum2(part.x, part.y);
      stage.template MakeKeys<N>(raw, weights, KeyScale(sums.x), keys);
      keys.bonus = sums.y;
    } else {
      stage.template MakeKeys<N>(raw, weights, 1.0f, keys);
    }
  }
};

// Blocks of RingShared::kWarps warps, one on each multiprocessor. `early_state`: see TokenLimits.
template <int N, typename State, typename Stage>
__global__ void __launch_bounds__(RingShared<N, State>::kWarps* kWarp, 1)
    WkvRingKernel(const __grid_constant__ Stage stage, const WkvSequences sequences, int heads,
                  const bool early_state) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  using Shared = RingShared<N, State>;
  using Shape = typename Shared::Shape;
  extern __shared__ __align__(128) char memory[];
  const int warp = threadIdx.x / kWarp;
  Shared& shared = reinterpret_cast<Shared*>(memory)[warp];
  HeadRing<N, State> ring(sequences, heads, shared);
  const int step = gridDim.x * Shared::kWarps;
  int item = warp * gridDim.x + blockIdx.x;  // neighbours on different multiprocessors
  if (!early_state) DependencyWait();
  const auto begin = [&](int at) {
    RingHead<N, State, Stage> next;
    next.memory = ring.Memory(at), next.head = ring.head(at);
    return next;
  };
  RingHead<N, State, Stage> next = begin(item);
  ring.Fetch(next.memory, 0);
  if (early_state) DependencyWait();
  ReleaseDependents();
  if (next.memory != nullptr) next.Load(stage, sequences, ring.row(item));
  for (int place = 0; item < ring.total(); item += step, place ^= 1) {
    RingHead<N, State, Stage> mine = next;
    next = begin(item + step);
    ring.WaitForStores();
    ring.Fetch(next.memory, place ^ 1);
    if (next.memory != nullptr) next.Load(stage, sequences, ring.row(item + step));
    if (mine.memory == nullptr) continue;
    KeyVectors<N> keys;
    mine.MakeKeys(stage, keys);
    mine.outputs.PutValues(stage, shared.v);
    const float2 along = PutKeys(keys, shared.vectors);
    ring.Wait(place);
    const SharedRows<N, State, Shape> rows(shared.state[place]);
    DecodeRows<N, Shape>(rows, shared.vectors, along, shared.v, shared.y, 0, mine.position,
                         mine.head);
    WritesBeforeBulk();
    __syncwarp();
    ring.Store(mine.memory, place);
    mine.outputs.Finish(stage, shared.y, keys.bonus);
    __syncwarp();
  }
  if (threadIdx.x % kWarp == 0) WaitForBulkWrites();
#endif
}

}  // namespace skein::cuda
