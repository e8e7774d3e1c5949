// One token of the RWKV-7 recurrence for each sequence, as in decode steps: the state of a head
// passes through the registers of few threads, once in and once out, and it is that traffic that
// such a step costs.
#pragma once

#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/wkv_decode_head.cuh"

namespace skein::cuda {

// Grid (part of a head, sequence); sequence s has row s alone. `early_state`: see TokenLimits.
template <int N, typename State, typename Stage, typename Shape>
__global__ void __launch_bounds__(Shape::kBlockWarps* kWarp, Shape::kMinBlocks)
    WkvDecodeKernel(const __grid_constant__ Stage stage, const WkvSequences sequences,
                    const bool early_state) {
  static_assert(Shape::kParts == 1 || !Stage::kNormalised);
  __shared__ DecodeVectors<N, Shape> vectors[Shape::kBlockWarps];
  __shared__ float y[N], v[N];
  const int head = blockIdx.x / Shape::kParts, row = blockIdx.y;
  const int slot = sequences.slots[row];
  if (slot < 0) {
    DependencyWait();
    return;
  }
  const int warp = threadIdx.x / kWarp;
  const int first = (blockIdx.x % Shape::kParts * Shape::kBlockWarps + warp) * Shape::kWarpRows;
  if (!early_state) DependencyWait();
  const HeldRows<N, State, Shape> state(sequences.Head<State>(slot, head, N) + first * N);
  if (early_state) DependencyWait();
  ReleaseDependents();
  const uint32_t position = sizeof(State) == 2 ? sequences.positions[row] : 0;

  DecodeOutputs<N, Stage, Shape> outputs;
  outputs.Load(stage, row, head, first);
  KeyVectors<N> keys;
  stage.template Keys<N>(row, head, keys);
  outputs.PutValues(stage, v);
  DecodeVectors<N, Shape>& x = vectors[warp];
  const float2 along = PutKeys(keys, x);
  DecodeRows<N, Shape>(state, x, along, v, y, first, position, head);
  if constexpr (Shape::kBlockWarps == 1) {
    __syncwarp();
  } else {
    __syncthreads();
  }
  outputs.Finish(stage, y, keys.bonus);
}

}  // namespace skein::cuda
