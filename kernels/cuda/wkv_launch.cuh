// Which kernels of the RWKV-7 recurrence a step takes: token by token for short sequences
// (wkv_decode.cuh and wkv_ring.cuh for one token, wkv_tokens.cuh), in chunks for the others
// (wkv_chunk.cuh).
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/cuda/wkv_chunk.cuh"
#include "kernels/cuda/wkv_decode.cuh"
#include "kernels/cuda/wkv_ring.cuh"
#include "kernels/cuda/wkv_tokens.cuh"
#include "kernels/device/cuda_context.h"

namespace skein::cuda {

// From this many rows on, chunks are faster.
inline constexpr int kMinChunkRows = 17;

struct WkvCall {
  WkvSequences sequences;
  int64_t num_rows, max_rows;  // as in SequenceRows
  DType state;
  int heads;
  bool early_state;  // as in TokenLimits
};

inline WkvCall MakeWkvCall(const SequenceRows& rows, const StateTensor& state,
                           const TensorView<const int32_t>& positions, int heads,
                           bool early_state) {
  return {MakeWkvSequences(rows, state, positions),
          rows.num_rows,
          rows.max_rows,
          state.dtype,
          heads,
          early_state};
}

// How many chunks of a head run side by side and hand on their states without global memory: worth
// their common start where chunks are short and heads too few to hide how the state passes.
template <int N>
int ChunkNeighbours(const CudaContext& context, const WkvCall& call) {
  if (N != 64 || context.compute_capability < 90 || call.max_rows <= kChunkTokens) return 1;
  if (call.heads * 5 >= context.sm_count * 2) return 1;
  return call.max_rows <= 2 * kChunkTokens || call.heads * 5 >= context.sm_count ? 2 : 4;
}

// Sequences of kMinChunkRows and more. Heads go in groups whose states fit into the workspace.
template <int N, typename T, typename Stage>
absl::Status LaunchWkvChunks(const CudaContext& context, const Stage& stage, const WkvCall& call) {
  using Chain = ChunkChain<N>;
  const int64_t sequences = std::min<int64_t>(call.sequences.count, call.num_rows / kMinChunkRows);
  const int64_t max_chunks = (call.num_rows + (kChunkTokens - 1) * sequences) / kChunkTokens;
  const int64_t places = std::max<int64_t>(Chain::Places(max_chunks), 1);
  const int64_t group = std::min<int64_t>(
      {call.heads, static_cast<int64_t>(context.workspace_bytes) / (places * Chain::kHeadBytes),
       context.num_counters / (places * Chain::kWarps)});
  if (group == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "wkv: ", context.workspace_bytes, " bytes of workspace and ", context.num_counters,
        " counters, a head needs ", places * Chain::kHeadBytes, " and ", places * Chain::kWarps));
  }
  const int neighbours = ChunkNeighbours<N>(context, call);
  const int64_t blocks = (max_chunks + neighbours - 1) / neighbours * neighbours;
  for (int first = 0; first < call.heads; first += static_cast<int>(group)) {
    const int heads = std::min(static_cast<int>(group), call.heads - first);
    const Chain chain = {static_cast<float4*>(context.workspace), context.counters, first, heads,
                         neighbours};
    const PooledStates<Stage::kHasFp16States> pool = {call.state == DType::kF16};
    RETURN_IF_ERROR(Launch(context, "wkv_chunk", WkvChunkKernel<N, T, Stage>,
                           {dim3(static_cast<unsigned>(heads * blocks)), dim3(2 * N),
                            sizeof(ChunkShared<N, T>), static_cast<unsigned>(neighbours)},
                           stage, call.sequences, ChunkPlan{kMinChunkRows}, chain, pool));
  }
  return absl::OkStatus();
}

template <int N, typename State, int kWarps, typename Stage>
absl::Status LaunchDecodeShape(const CudaContext& context, const Stage& stage,
                               const WkvCall& call) {
  constexpr int kBlockWarps = Stage::kNormalised ? kWarps : std::min(kWarps, 2);
  using Shape = DecodeShape<N, State, kWarps, kBlockWarps>;
  return Launch(context, "wkv_decode", WkvDecodeKernel<N, State, Stage, Shape>,
                {dim3(call.heads * Shape::kParts, call.sequences.count), dim3(kBlockWarps * kWarp)},
                stage, call.sequences, call.early_state);
}

// Where every warp that a multiprocessor has room for gets at least so many heads.
inline constexpr int kMinRingRounds = 2;

template <typename State>
bool RingTakes(const CudaContext& context, int64_t heads) {
  const int64_t warps = int64_t{RingShared<64, State>::kWarps} * context.sm_count;
  return context.compute_capability >= 90 && context.compute_capability < 120 &&
         heads >= kMinRingRounds * warps;
}

template <typename State, typename Stage>
absl::Status LaunchWkvRing(const CudaContext& context, const Stage& stage, const WkvCall& call) {
  using Shared = RingShared<64, State>;
  return Launch(
      context, "wkv_ring", WkvRingKernel<64, State, Stage>,
      {dim3(context.sm_count), dim3(Shared::kWarps * kWarp), sizeof(Shared) * Shared::kWarps},
      stage, call.sequences, call.heads, call.early_state);
}

// Few warps with much state each keep most of it on its way; where they would not fill the device,
// more of them with less.
template <int N, typename State, typename Stage>
absl::Status LaunchWkvDecode(const CudaContext& context, const Stage& stage, const WkvCall& call) {
  constexpr int kMost = N / 16, kFewest = N * N * static_cast<int>(sizeof(State)) / 8192;
  const int64_t warps_wanted = int64_t{context.sm_count} * 12;
  const int64_t heads = int64_t{call.heads} * call.sequences.count;
  if constexpr (N == 64) {
    if (RingTakes<State>(context, heads)) return LaunchWkvRing<State>(context, stage, call);
  }
  if (heads * kFewest >= warps_wanted) {
    return LaunchDecodeShape<N, State, kFewest>(context, stage, call);
  }
  if constexpr (kFewest * 4 == kMost) {
    if (heads * kFewest * 2 >= warps_wanted) {
      return LaunchDecodeShape<N, State, kFewest * 2>(context, stage, call);
    }
  }
  return LaunchDecodeShape<N, State, kMost>(context, stage, call);
}

template <int N, typename Stage>
absl::Status LaunchWkvTokens(const CudaContext& context, const Stage& stage, const WkvCall& call,
                             int64_t max_rows) {
  if constexpr (N == 64 || N == 128) {
    if (call.sequences.is_decode) {
      if constexpr (Stage::kHasFp16States) {
        if (call.state == DType::kF16) return LaunchWkvDecode<N, __half>(context, stage, call);
      }
      return LaunchWkvDecode<N, float>(context, stage, call);
    }
  }
  const TokenLimits limits = {static_cast<int>(max_rows), call.early_state};
  const auto launch = [&]<typename State>(const State*) {
    using Block = BlockShape<N, State, Stage>;
    const dim3 grid(call.heads * Block::kParts, call.sequences.count);
    return Launch(context, "wkv_tokens", WkvTokensKernel<N, State, Stage>, {grid, Block::kThreads},
                  stage, call.sequences, limits);
  };
  if constexpr (Stage::kHasFp16States) {
    if (call.state == DType::kF16) return launch(static_cast<const __half*>(nullptr));
  }
  return launch(static_cast<const float*>(nullptr));
}

// T is the operand type of the chunks' products.
template <int N, typename T, typename Stage>
absl::Status LaunchWkv(const CudaContext& context, const Stage& stage, const WkvCall& call) {
  if (call.max_rows < kMinChunkRows) {
    return LaunchWkvTokens<N>(context, stage, call, call.max_rows);
  }
  // What the shortest sequence has at least, with all the others as long as can be.
  const int64_t shortest = call.num_rows - (call.sequences.count - 1) * call.max_rows;
  if (shortest < kMinChunkRows) {
    RETURN_IF_ERROR(LaunchWkvTokens<N>(context, stage, call, kMinChunkRows - 1));
  }
  return LaunchWkvChunks<N, T>(context, stage, call);
}

}  // namespace skein::cuda
