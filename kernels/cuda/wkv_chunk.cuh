// The RWKV-7 recurrence in chunks of 64 tokens: a block makes of a chunk of a head all that does
// not need the state before it (wkv_chunk_rows.cuh, wkv_chunk_products.cuh), then takes that state
// from the block of the chunk before, hands on its own and finishes the outputs
// (wkv_chunk_state.cuh). Blocks of one sequence overlap but for the last, short part.
//
// A Stage (wkv_tokens.cuh) has for this, beside what single tokens need:
//   RawKeys<N>, RawValues<C>   what a lane reads for Keys and for Values, of the row that is
//   `token`
//       rows behind `row`: LoadKeys<N>(row, head, raw, token), LoadValues<C>(row, channel, token);
//       NoKeys<N>() stands for a token that changes nothing
//   KeyWeights<N>              and the constants: LoadKeyWeights<N>(head)
//   MakeKeys<N>(raw, weights, scale, x), MakeValues<C>(raw, v)   the rest of Keys and Values
//   kScalesKeys: `scale` is KeyScale of the warp's sum of KeySums<N>(raw, weights).x, and the bonus
//       that of .y, which MakeKeys leaves out. Else `scale` is 1.
#pragma once

#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/wkv_chunk_chain.cuh"
#include "kernels/cuda/wkv_chunk_products.cuh"
#include "kernels/cuda/wkv_chunk_state.cuh"

namespace skein::cuda {

// Reads the chunk's rows. Loads of 16-bit rows fit into registers all at once.
template <int N, typename T, typename Stage>
__device__ inline void FillRows(const Stage& stage, ChunkShared<N, T>& shared, const Chunk& chunk,
                                int head, const typename Stage::template KeyWeights<N>& weights) {
  constexpr int kWarps = N / 16;
  using Ahead = KeyRun<N, T, Stage, true>;
  using Behind = KeyRun<N, T, Stage, false>;
  const int warp = threadIdx.x / kWarp;
  ValueRows<N, T, Stage> values(stage, chunk, head);
  if constexpr (kWarps == kChunkBlocks && Ahead::kBatch == Ahead::kTokens) {
    Ahead ahead(stage, chunk, head, warp);
    Behind behind(stage, chunk, head, warp);
    ahead.Load();
    behind.Load();
    ahead.Fill(shared, weights);
    values.Load();
    behind.Fill(shared, weights);
  } else {
    for (int i = warp; i < 2 * kChunkBlocks; i += kWarps) {
      if (i < kChunkBlocks) {
        Ahead run(stage, chunk, head, i);
        run.Load();
        run.Fill(shared, weights);
      } else {
        Behind run(stage, chunk, head, i - kChunkBlocks);
        run.Load();
        run.Fill(shared, weights);
      }
    }
    values.Load();
  }
  values.Fill(shared);
}

// The states of a launch in the pool.
template <bool kMayBeHalf>
struct PooledStates {
  bool is_half;

  template <int N, typename T>
  __device__ void Load(const WkvSequences& sequences, const Chunk& chunk, int head,
                       StateCarrier<N, T>& state) const {
    const int slot = sequences.slots[chunk.sequence];
    if constexpr (kMayBeHalf) {
      if (is_half) return state.Load(sequences.Head<__half>(slot, head, N));
    }
    state.Load(sequences.Head<float>(slot, head, N));
  }
  template <int N, typename T>
  __device__ void Store(const WkvSequences& sequences, const Chunk& chunk, int head,
                        const StateCarrier<N, T>& state) const {
    const int slot = sequences.slots[chunk.sequence];
    if constexpr (kMayBeHalf) {
      if (is_half) {
        const uint32_t position = sequences.positions[chunk.begin + chunk.rows - 1];
        return state.Store(sequences.Head<__half>(slot, head, N), position, head);
      }
    }
    state.Store(sequences.Head<float>(slot, head, N), 0, head);
  }
};

// Blocks as ChunkPlace says, in clusters of chain.neighbours; N / 16 warps.
template <int N, typename T, typename Stage>
__global__ void __launch_bounds__(2 * N, N == 64 ? 2 : 1)
    WkvChunkKernel(const __grid_constant__ Stage stage, const WkvSequences sequences,
                   const ChunkPlan plan, const __grid_constant__ ChunkChain<N> chain,
                   const PooledStates<Stage::kHasFp16States> pool) {
  extern __shared__ __align__(128) char memory[];
  ChunkShared<N, T>& shared = *reinterpret_cast<ChunkShared<N, T>*>(memory);
  ChunkLinks<N>::Open(chain, shared.mailbox);
  const ChunkPlace place = ChunkPlace::Mine(chain.num_heads, chain.neighbours);
  const int warp = threadIdx.x / kWarp, head = chain.first_head + place.head;
  const auto weights = stage.template LoadKeyWeights<N>(head);
  const Chunk chunk = plan.Find(sequences, place.number);
  const ChunkLinks<N> links(chain, shared.mailbox, chunk, place);
  DependencyWait();
  ReleaseDependents();
  if (chunk.rows == 0) {
    ChunkLinks<N>::AwaitOpen(chain);
    return;
  }

  FillRows(stage, shared, chunk, head, weights);
  __syncthreads();
  FillDecays(shared);
  __syncthreads();
  MaskedProducts(shared, warp);
  __syncthreads();
  ChunkFinisher<N, T, Stage> finisher(stage, chunk, head);
  finisher.Load();
  ScaleToEnd(shared);
  ChunkColumns<N, T> columns(shared, warp);
  columns.Solve();
  __syncthreads();
  Sums delta[N / 16], y[kChunkBlocks];
  columns.Updates(delta);
  columns.Outputs(y);
  ChunkLinks<N>::AwaitOpen(chain);
  __syncthreads();
  StateCarrier<N, T> state(warp);
  if (chunk.index > 0) {
    state.Take(links.Take());
  } else {
    pool.Load(sequences, chunk, head, state);
  }
  const auto before = state.Advance(shared, delta);
  if (chunk.is_last) {
    links.End();
    pool.Store(sequences, chunk, head, state);
  } else {
    links.Leave([&state](int i) { return state.Vector(i); });
  }
  state.Read(shared, before, y);
  __syncthreads();
  finisher.Finish(shared);
}

}  // namespace skein::cuda
