// Attention of sequences with several rows on compute capability 9.0: two warpgroups multiply 64
// rows each, a third one copies keys and values for them. Rows as in prefill.cu; a warpgroup's
// products with the next keys run while it turns the scores before into weights.
#include <algorithm>
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/linear/hopper.cuh"
#include "kernels/linear/wgmma.cuh"
#include "kernels/paged_attention/attention_call.h"
#include "kernels/paged_attention/query_tiles.cuh"
#include "kernels/paged_attention/tiles.cuh"
#include "kernels/paged_attention/wgmma_rows.cuh"

namespace skein::attention {
namespace {

constexpr int kTeam = 128;  // threads of a warpgroup
constexpr int kTeams = 2;   // that multiply
constexpr int kThreads = (kTeams + 1) * kTeam;
constexpr int kTeamRows = 64;
constexpr int kRows = kTeams * kTeamRows;
constexpr int kTokens = 128;
constexpr int kStages = 2;
[[maybe_unused]] constexpr int kCopyRegisters = 56, kMultiplyRegisters = 224;

// 64 elements of kRows or kTokens rows, 128-byte swizzled.
constexpr int kPanelElements = 64;
constexpr int kPanelBytes = 128 * 128;
static_assert(kRows == 128 && kTokens == 128);
template <int kN>
constexpr int kPanels = (kN + kPanelElements - 1) / kPanelElements;
template <int kN>
constexpr int kPlaneBytes = kPanels<kN>* kPanelBytes;
constexpr int kAlignment = 1024;
template <int kN>
constexpr int kSharedBytes = kAlignment + (1 + 2 * kStages) * kPlaneBytes<kN> + 4 * kStages * 8;

[[maybe_unused]] __device__ inline uint32_t ChunkOffset(int row, int chunk) {
  return chunk / 8 * kPanelBytes + row * 128 + ((chunk % 8 ^ row % 8) << 4);
}

// Addresses of a block's tiles and barriers.
template <int kN>
struct Shared {
  uint32_t base;

  __device__ uint32_t Queries() const { return base; }
  __device__ uint32_t Keys(int stage) const { return base + (1 + stage) * kPlaneBytes<kN>; }
  __device__ uint32_t Values(int stage) const { return Keys(kStages + stage); }
  // That keys or values are there; that they are used up.
  __device__ uint32_t Full(bool values, int stage) const { return Barrier(2 * values, stage); }
  __device__ uint32_t Empty(bool values, int stage) const { return Barrier(2 * values + 1, stage); }

 private:
  __device__ uint32_t Barrier(int kind, int stage) const {
    return Keys(2 * kStages) + (kind * kStages + stage) * 8;
  }
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// ---- copies ----

// The barrier gets an arrival of this thread when its copies so far have ended.
__device__ inline void ArriveAfterCopies(uint32_t barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
}

template <int kN>
__device__ void CopyPlane(const Call& call, const void* plane, PageCursor& pages, int token,
                          uint32_t to) {
  constexpr int kChunks = kN / 8;
  const char* from = static_cast<const char*>(plane);
  pages.Seek(call, token);
#pragma unroll 4
  for (int i = 0; i < kTokens * kChunks / kTeam; ++i) {
    const int index = i * kTeam + static_cast<int>(threadIdx.x) % kTeam;
    const int row = index / kChunks, chunk = index % kChunks;
    const int64_t at = 2 * pages.At(call, token + row) + chunk * 16;
    CopyAsync(to + ChunkOffset(row, chunk), from + at, token + row < pages.tokens);
  }
}

// The values of a tile follow the keys of the next one, as they are used.
template <int kN>
__device__ void CopyTiles(const Call& call, const QueryTile& tile, int kv_head, int tiles,
                          const Shared<kN>& shared) {
  PageCursor key_pages, value_pages;
  key_pages.Start(call, tile.sequence, kv_head, tile.visible);
  value_pages.Start(call, tile.sequence, kv_head, tile.visible);
  for (int i = 0; i <= tiles; ++i) {
    if (i < tiles) {
      const int stage = i % kStages;
      cuda::BarrierWait(shared.Empty(false, stage), (i / kStages & 1) ^ 1);
      CopyPlane<kN>(call, call.keys, key_pages, i * kTokens, shared.Keys(stage));
      ArriveAfterCopies(shared.Full(false, stage));
    }
    if (i > 0) {
      const int stage = (i - 1) % kStages;
      cuda::BarrierWait(shared.Empty(true, stage), ((i - 1) / kStages & 1) ^ 1);
      CopyPlane<kN>(call, call.values, value_pages, (i - 1) * kTokens, shared.Values(stage));
      ArriveAfterCopies(shared.Full(true, stage));
    }
  }
  WaitCopies<0>();
}

// ---- products ----

// The queries of this thread's warpgroup, as the pages' type.
template <typename T, int kN>
__device__ void PutQueries(const Call& call, const QueryTile& tile, int kv_head, int team,
                           uint32_t to) {
  constexpr int kChunks = kN / 8;
  for (int i = threadIdx.x % kTeam; i < kTeamRows * kChunks; i += kTeam) {
    const int row = team * kTeamRows + i / kChunks, chunk = i % kChunks;
    const QueryRow query = QueryRowAt(call, tile, kv_head, tile.first + row);
    uint32_t pairs[4] = {};
    if (query.at >= 0) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        pairs[j] = LoadPair<T>(call.q, call.q_type, query.at + chunk * 8 + j * 2);
      }
    }
    asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(to + ChunkOffset(row, chunk)),
                 "r"(pairs[0]), "r"(pairs[1]), "r"(pairs[2]), "r"(pairs[3])
                 : "memory");
  }
}

// A warpgroup's running softmax; its thread has rows as cuda::Wgmma says, "halves" 0 and 1.
template <typename T, int kN>
struct TeamSoftmax {
  float out[kN / 2];
  float scores[kTokens / 2];  // then weights
  uint32_t weights[kTokens / 16][4];
  float largest[2] = {-INFINITY, -INFINITY};
  float sum[2] = {0, 0};
  float shrink[2];

  // scores = queries keys^T
  __device__ void Score(uint32_t queries, uint32_t keys) {
    cuda::WgmmaBegin();
#pragma unroll
    for (int k = 0; k < kN / 16; ++k) {
      const uint32_t offset = k / 4 * kPanelBytes + k % 4 * 32;
      cuda::Wgmma<kTokens, T, false>::Run(scores, cuda::OperandAlong(queries + offset),
                                          cuda::OperandAlong(keys + offset), k > 0);
    }
    cuda::WgmmaCommit();
  }
  // out += weights values
  __device__ void AddValues(uint32_t values) {
    cuda::WgmmaBegin();
#pragma unroll
    for (int k = 0; k < kTokens / 16; ++k) {
      // Panels of 64 channels are kPanelBytes apart, groups of 8 tokens 1024 bytes.
      const uint32_t address = values + k * 2048;
      const uint64_t operand = (address & 0x3ffff) >> 4 | uint64_t{kPanelBytes >> 4} << 16 |
                               uint64_t{1024 >> 4} << 32 | uint64_t{1} << 62;
      WgmmaRows<kN, T>::Run(out, weights[k], operand);
    }
    cuda::WgmmaCommit();
  }
  // Of the tile's tokens, a row half sees the first `visible`.
  __device__ void Hide(const int (&visible)[2]) {
    const int column = threadIdx.x % 4 * 2;
#pragma unroll
    for (int i = 0; i < kTokens / 2; ++i) {
      if (i / 4 * 8 + column + i % 2 >= visible[i / 2 % 2]) scores[i] = -INFINITY;
    }
  }
  // Turns the scores into weights. Every row sees the first token, so its maximum is finite.
  __device__ void Weigh(float scale) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float m = -INFINITY;
#pragma unroll
      for (int i = 0; i < kTokens / 8; ++i) {
        m = fmaxf(m, fmaxf(scores[4 * i + 2 * half], scores[4 * i + 2 * half + 1]));
      }
      m = fmaxf(m, __shfl_xor_sync(kAll, m, 1));
      m = fmaxf(m, __shfl_xor_sync(kAll, m, 2));
      m = fmaxf(largest[half], m * scale);
      shrink[half] = Exp2(largest[half] - m);
      largest[half] = m;
      float total = 0;
#pragma unroll
      for (int i = 0; i < kTokens / 4; ++i) {
        float& score = scores[i / 2 * 4 + 2 * half + i % 2];
        score = Exp2(fmaf(score, scale, -m));
        total += score;
      }
      sum[half] = fmaf(sum[half], shrink[half], total);
    }
  }
  // Readies the weights for the product with the values, and the sums of the tiles before.
  __device__ void PackWeights() {
    if (__any_sync(kAll, shrink[0] != 1.0f || shrink[1] != 1.0f)) {
#pragma unroll
      for (int i = 0; i < kN / 2; ++i) out[i] *= shrink[i / 2 % 2];
    }
#pragma unroll
    for (int i = 0; i < kTokens / 4; ++i) {
      weights[i / 4][i % 4] = Pack(scores[2 * i], scores[2 * i + 1], T{});
    }
  }
};

// Attention of the warpgroup's rows.
template <typename T, int kN>
__device__ void Multiply(const Call& call, const QueryTile& tile, int kv_head, int tiles,
                         const Shared<kN>& shared) {
  const int team = threadIdx.x / kTeam, thread = threadIdx.x % kTeam;
  const float scale = 1.44269504088896341f / sqrtf(static_cast<float>(kN));
  PutQueries<T, kN>(call, tile, kv_head, team, shared.Queries());
  cuda::FenceForCopies();
  cuda::NamedBarrier(1 + team, kTeam);
  const uint32_t queries = shared.Queries() + team * kTeamRows * 128;
  const int first = tile.first + team * kTeamRows + thread / 32 * 16 + thread % 32 / 4;
  const QueryRow rows[2] = {QueryRowAt(call, tile, kv_head, first),
                            QueryRowAt(call, tile, kv_head, first + 8)};
  const int all_visible =
      QueryRowAt(call, tile, kv_head, tile.first + team * kTeamRows).visible;  // to every row

  TeamSoftmax<T, kN> softmax;
#pragma unroll
  for (int i = 0; i < kN / 2; ++i) softmax.out[i] = 0;
  const auto weigh = [&](int i) {
    if ((i + 1) * kTokens > all_visible) {
      softmax.Hide({rows[0].visible - i * kTokens, rows[1].visible - i * kTokens});
    }
    softmax.Weigh(scale);
  };
  const auto wait = [&](bool values, int i) {
    cuda::BarrierWait(shared.Full(values, i % kStages), i / kStages & 1);
    cuda::FenceForCopies();  // the copies were ordinary ones
  };
  const auto release = [&](bool values, int i) {
    if (thread % 32 == 0) cuda::BarrierArrive(shared.Empty(values, i % kStages));
  };
  wait(false, 0);
  softmax.Score(queries, shared.Keys(0));
  cuda::WgmmaWait<0>();
  release(false, 0);
  weigh(0);
  softmax.PackWeights();
  for (int i = 1; i < tiles; ++i) {
    wait(false, i);
    softmax.Score(queries, shared.Keys(i % kStages));
    wait(true, i - 1);
    softmax.AddValues(shared.Values((i - 1) % kStages));
    cuda::WgmmaWait<1>();
    release(false, i);
    weigh(i);
    cuda::WgmmaWait<0>();
    release(true, i - 1);
    softmax.PackWeights();
  }
  wait(true, tiles - 1);
  softmax.AddValues(shared.Values((tiles - 1) % kStages));
  cuda::WgmmaWait<0>();

#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float weights = softmax.sum[half];
    weights += __shfl_xor_sync(kAll, weights, 1);
    weights += __shfl_xor_sync(kAll, weights, 2);
    const float factor = 1.0f / weights;
    if (rows[half].at < 0) continue;
#pragma unroll
    for (int i = 0; i < kN / 8; ++i) {
      StorePair(call.y, call.y_type, rows[half].at + i * 8 + thread % 4 * 2,
                softmax.out[4 * i + 2 * half] * factor, softmax.out[4 * i + 2 * half + 1] * factor);
    }
  }
}

#endif

template <typename T, int kN>
__global__ void __launch_bounds__(kThreads, 1) PrefillKernel(const __grid_constant__ Call call) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ unsigned char memory[];
  const Shared<kN> shared = {(cuda::SharedAddress(memory) + kAlignment - 1) / kAlignment *
                             kAlignment};
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kStages; ++stage) {
      for (const bool values : {false, true}) {
        cuda::BarrierInit(shared.Full(values, stage), kTeam);
        cuda::BarrierInit(shared.Empty(values, stage), kTeams * kTeam / kLanes);
      }
    }
    cuda::BarrierInitFence();
  }
  cuda::DependencyWait();
  cuda::ReleaseDependents();
  const QueryTile tile = FindQueryTile<kThreads, kRows>(call, blockIdx.y);
  if (tile.sequence < 0) return;
  const int kv_head = blockIdx.x;
  const int tiles = (tile.visible + kTokens - 1) / kTokens;
  if (threadIdx.x / kTeam == kTeams) {
    cuda::KeepRegisters<kCopyRegisters>();
    CopyTiles<kN>(call, tile, kv_head, tiles, shared);
  } else {
    cuda::TakeRegisters<kMultiplyRegisters>();
    Multiply<T, kN>(call, tile, kv_head, tiles, shared);
  }
#endif
}

template <typename T, int kN>
absl::Status Launch(const Call& call, const CudaContext& context) {
  const dim3 grid(static_cast<unsigned>(call.kv_heads),
                  static_cast<unsigned>(MaxQueryTiles(call, kRows)));
  return cuda::Launch(context, "paged_attention", PrefillKernel<T, kN>,
                      {grid, dim3(kThreads), kSharedBytes<kN>}, call);
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

absl::Status LaunchHopperPrefill(const Call& call, const CudaContext& context) {
  return call.kv_type == DType::kF16 ? LaunchFor<__half>(call, context)
                                     : LaunchFor<__nv_bfloat16>(call, context);
}

}  // namespace skein::attention
