// Attention of sequences with several rows. The rows of a block are (query, head) pairs of one
// key-value head, heads inside, so that short chunks of grouped heads fill a tile too. Every row's
// sums run over tiles of 64 absolute positions, whatever chunk it came in.
#include <algorithm>
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/paged_attention/attention_call.h"
#include "kernels/paged_attention/query_tiles.cuh"
#include "kernels/paged_attention/softmax.cuh"
#include "kernels/paged_attention/tiles.cuh"

namespace skein::attention {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kLanes;
constexpr int kRows = 16 * kWarps;
constexpr int kTokens = 64;
constexpr int kStages = 2;
template <int kN>
constexpr int kPlaneBytes = kTokens* kN * 2;

// Starts the copies of keys and values [token, token + kTokens), as one group.
template <int kN>
__device__ void CopyTile(const Call& call, PageCursor& pages, int token, uint32_t to) {
  using Rows = TileRows<kN>;
  if (token < pages.tokens) {
    const char* keys = static_cast<const char*>(call.keys);
    const char* values = static_cast<const char*>(call.values);
    pages.Seek(call, token);
#pragma unroll
    for (int i = 0; i < kTokens * Rows::kChunks / kThreads; ++i) {
      const int index = i * kThreads + static_cast<int>(threadIdx.x);
      const int row = index / Rows::kChunks, chunk = index % Rows::kChunks;
      const int64_t at = 2 * pages.At(call, token + row) + chunk * 16;
      const bool valid = token + row < pages.tokens;
      CopyAsync(to + Rows::Offset(row, chunk), keys + at, valid);
      CopyAsync(to + kPlaneBytes<kN> + Rows::Offset(row, chunk), values + at, valid);
    }
  }
  CommitCopies();
}

template <typename T, int kN>
__global__ void __launch_bounds__(kThreads) PrefillKernel(const __grid_constant__ Call call) {
  extern __shared__ __align__(128) unsigned char shared[];
  const uint32_t tiles = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  const int lane = threadIdx.x % kLanes, warp = threadIdx.x / kLanes;
  const float scale = 1.44269504088896341f / sqrtf(static_cast<float>(kN));

  cuda::DependencyWait();
  cuda::ReleaseDependents();
  const QueryTile tile = FindQueryTile<kThreads, kRows>(call, blockIdx.y);
  if (tile.sequence < 0) return;
  const int kv_head = blockIdx.x;
  const int first = tile.first + warp * 16 + lane / 4;
  const QueryRow low = QueryRowAt(call, tile, kv_head, first);
  const QueryRow high = QueryRowAt(call, tile, kv_head, first + 8);
  // What the warp's last row sees, and the block's.
  const int warp_end = QueryRowAt(call, tile, kv_head, tile.first + warp * 16 + 15).visible;

  PageCursor pages;
  pages.Start(call, tile.sequence, kv_head, tile.visible);
  CopyTile<kN>(call, pages, 0, tiles);
  uint32_t q[kN / 16][4];
  LoadQueries<T, kN>(call, {low.at, high.at}, q);
  Running<T, kN, kTokens> running;
  running.Clear();
  int stage = 0;
  for (int token = 0; token < tile.visible; token += kTokens, stage ^= 1) {
    CopyTile<kN>(call, pages, token + kTokens, tiles + (stage ^ 1) * 2 * kPlaneBytes<kN>);
    WaitCopies<kStages - 1>();
    __syncthreads();
    if (token < warp_end) {
      running.Add(q, tiles + stage * 2 * kPlaneBytes<kN>, low.visible - token, high.visible - token,
                  true, scale);
    }
    __syncthreads();
  }
  WaitCopies<0>();
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const QueryRow& row = half == 0 ? low : high;
    const float factor = 1.0f / running.Weights(half);
    if (row.at < 0) continue;
#pragma unroll
    for (int i = 0; i < kN / 8; ++i) {
      StorePair(call.y, call.y_type, row.at + i * 8 + lane % 4 * 2,
                running.out[i][2 * half] * factor, running.out[i][2 * half + 1] * factor);
    }
  }
}

template <typename T, int kN>
absl::Status Launch(const Call& call, const CudaContext& context) {
  const dim3 grid(static_cast<unsigned>(call.kv_heads),
                  static_cast<unsigned>(MaxQueryTiles(call, kRows)));
  return cuda::Launch(context, "paged_attention", PrefillKernel<T, kN>,
                      {grid, dim3(kThreads), kStages * 2 * kPlaneBytes<kN>}, call);
}

template <typename T>
absl::Status LaunchFor(const Call& call, const CudaContext& context) {
  switch (call.head_dim) {
    case 64:
      return Launch<T, 64>(call, context);
    case 96:
      return Launch<T, 96>(call, context);
    default:
      return Launch<T, 128>(call, context);
  }
}

}  // namespace

absl::Status LaunchPrefill(const Call& call, const CudaContext& context) {
  if (call.sequences == 0 || call.max_rows < 2) return absl::OkStatus();
  if (context.compute_capability == 90) return LaunchHopperPrefill(call, context);
  return call.kv_type == DType::kF16 ? LaunchFor<__half>(call, context)
                                     : LaunchFor<__nv_bfloat16>(call, context);
}

}  // namespace skein::attention
