// The RWKV-7 recurrence in chunks of 64 tokens: a block makes of a chunk of a head all that does
// not need the state before it (wkv_chunk_rows.cuh, wkv_chunk_products.cuh), then takes that state
// from the block of the chunk before, hands on its own and finishes the outputs
// (wkv_chunk_state.cuh). Blocks of one sequence overlap but for the last, short part.
//
// A Stage (wkv_tokens.cuh) has for this, beside what single tokens need:
//   RawKeys<N>, RawValues<C>   what a lane reads for Keys and for Values: LoadKeys<N>(row, head,
//       raw), LoadValues<C>(row, channel); NoKeys<N>() stands for a token that changes nothing
//   KeyWeights<N>              and the constants: LoadKeyWeights<N>(head)
//   MakeKeys<N>(raw, weights, scale, x), MakeValues<C>(raw, v)   the rest of Keys and Values
//   kScalesKeys: `scale` is KeyScale of the warp's sum of KeySums<N>(raw, weights).x, and the bonus
//       that of .y, which MakeKeys leaves out. Else `scale` is 1.
#pragma once

#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/wkv_chunk_products.cuh"
#include "kernels/cuda/wkv_chunk_state.cuh"

namespace skein::cuda {

// Reads the chunk's rows. Loads of 16-bit rows fit into registers all at once.
template <int N, typename T, typename Stage>
__device__ inline void FillRows(const Stage& stage, ChunkShared<N, T>& shared, const Chunk& chunk,
                                int head, const typename Stage::template KeyWeights<N>& weights) {
  constexpr int kWarps = N / 16;
  using Run = KeyRun<N, T, Stage>;
  const int warp = threadIdx.x / kWarp;
  ValueRows<N, T, Stage> values(stage, chunk, head);
  if constexpr (kWarps * 2 == Run::kRuns && Run::kBatch == Run::kTokens) {
    Run ahead(stage, chunk, head, warp), behind(stage, chunk, head, warp + kWarps);
    ahead.Load();
    behind.Load();
    ahead.Fill(shared, weights);
    values.Load();
    behind.Fill(shared, weights);
  } else {
    for (int i = warp; i < Run::kRuns; i += kWarps) {
      Run run(stage, chunk, head, i);
      run.Load();
      run.Fill(shared, weights);
    }
    values.Load();
  }
  values.Fill(shared);
}

// Which states a launch works on, and how they pass between blocks.
template <int N, bool kMayBeHalf>
struct ChunkStates {
  ChunkChain<N> chain;
  bool is_half;  // fp16 in the pool

  template <typename T>
  __device__ void Take(const WkvSequences& sequences, const Chunk& chunk, int head,
                       StateCarrier<N, T>& state) const {
    const int slot = sequences.slots[chunk.sequence];
    if (chunk.index > 0) {
      const int64_t part = chain.Part(chunk);
      chain.AwaitTurn(part, chunk.index);
      state.Take(chain.State(part));
      return;
    }
    if constexpr (kMayBeHalf) {
      if (is_half) return state.Load(sequences.Head<__half>(slot, head, N));
    }
    state.Load(sequences.Head<float>(slot, head, N));
  }
  template <typename T>
  __device__ void Leave(const WkvSequences& sequences, const Chunk& chunk, int head,
                        const StateCarrier<N, T>& state) const {
    const int64_t part = chain.Part(chunk);
    if (!chunk.is_last) {
      state.Leave(chain.State(part));
      chain.PassTurn(part, chunk.index);
      return;
    }
    if (chunk.index > 0) chain.EndTurns(part);
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

// Grid (head, chunk), N / 16 warps.
template <int N, typename T, typename Stage>
__global__ void __launch_bounds__(2 * N, N == 64 ? 3 : 1)
    WkvChunkKernel(const __grid_constant__ Stage stage, const WkvSequences sequences,
                   const ChunkPlan plan, const ChunkStates<N, Stage::kHasFp16States> states) {
  extern __shared__ __align__(128) char memory[];
  ChunkShared<N, T>& shared = *reinterpret_cast<ChunkShared<N, T>*>(memory);
  const int warp = threadIdx.x / kWarp, head = states.chain.first_head + blockIdx.x;
  const auto weights = stage.template LoadKeyWeights<N>(head);
  const Chunk chunk = plan.Find(sequences, blockIdx.y);
  DependencyWait();
  ReleaseDependents();
  if (chunk.rows == 0) return;

  FillRows(stage, shared, chunk, head, weights);
  __syncthreads();
  FillDecays(shared);
  __syncthreads();
  MaskedProducts(shared, warp);
  __syncthreads();
  ScaleToEnd(shared);
  ChunkColumns<N, T> columns(shared, warp);
  columns.Solve();
  __syncthreads();
  Sums delta[N / 16], y[kChunkBlocks];
  columns.Updates(delta);
  columns.Outputs(y);
  ChunkFinisher<N, T, Stage> finisher(stage, chunk, head);
  finisher.Load();
  __syncthreads();
  StateCarrier<N, T> state(warp);
  states.Take(sequences, chunk, head, state);
  const auto before = state.Advance(shared, delta);
  states.Leave(sequences, chunk, head, state);
  state.Read(shared, before, y);
  __syncthreads();
  finisher.Finish(shared);
}

}  // namespace skein::cuda
