// How the operations start the kernel of the RWKV-7 recurrence (wkv_tokens.cuh).
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "kernels/cuda/launch.h"
#include "kernels/cuda/wkv_tokens.cuh"
#include "kernels/device/cuda_context.h"

namespace skein::cuda {

struct WkvCall {
  WkvSequences sequences;
  int max_rows;  // as in SequenceRows
  DType state;
  int heads;
  bool early_state;  // as in TokenLimits
};

inline WkvCall MakeWkvCall(const SequenceRows& rows, const StateTensor& state,
                           const TensorView<const int32_t>& positions, int heads,
                           bool early_state) {
  return {MakeWkvSequences(rows, state, positions), static_cast<int>(rows.max_rows),
          state.dtype, heads, early_state};
}

template <int N, typename Stage>
absl::Status LaunchWkv(const CudaContext& context, const Stage& stage, const WkvCall& call) {
  const TokenLimits limits = {call.max_rows, call.early_state};
  const dim3 grid(call.heads, call.sequences.count);
  if (call.state == DType::kF16) {
    return Launch(context, "wkv_tokens", WkvTokensKernel<N, __half, Stage>,
                  {grid, HeadShape<N, __half>::kThreads}, stage, call.sequences, limits);
  }
  return Launch(context, "wkv_tokens", WkvTokensKernel<N, float, Stage>,
                {grid, HeadShape<N, float>::kThreads}, stage, call.sequences, limits);
}

}  // namespace skein::cuda
