// The blocks that sample one row: a cluster with the row's logits in their shared memory, or one
// block with them in global memory where there are no clusters.
#pragma once

#include <cfloat>
#include <cstdint>

#include <cooperative_groups.h>

#include "kernels/sample/sample.h"

namespace skein::sampling {

inline constexpr int kWarp = 32;
inline constexpr int kWarps = 16;  // of a block
inline constexpr int kThreads = kWarps * kWarp;
inline constexpr int kStride = kWarp * 4;  // logits that a warp takes at once
inline constexpr int kMaxBlocks = 8;       // of a cluster

inline constexpr int kBins = 2048;       // of a histogram
inline constexpr int kCandidates = 256;  // that a threshold is picked from one by one

// Pointers and sizes of SampleArgs. A row's logits lie in `blocks` slices of kWarps * chunk, and a
// slice in one chunk per warp; what goes beyond the vocabulary is minus infinity.
struct Params {
  const float* logits;
  const int32_t* logits_row;
  const SampleRow* rows;
  const int32_t* penalty_begin;
  const PenaltyEntry* penalties;
  const int32_t* bias_begin;
  const BiasEntry* biases;
  const int32_t* banned_begin;
  const int32_t* banned;
  const uint32_t* masks;
  int32_t* tokens;
  SampleOutcome* outcomes;
  float* logprobs;
  int32_t* top_tokens;
  float* top_logprobs;
  int num_rows;
  int vocab;
  int chunk;
  float* global_slices;  // [gridDim.x, kWarps * chunk] where slices are not in shared memory
};

// Sums that blocks exchange: one entry per warp.
enum Partial { kAboveMass, kWindowMass, kTotalMass, kAboveCount, kKept, kRaw, kNumPartials };

struct Candidate {
  float logit;
  uint32_t index;  // in the slice
};

// Bins in which a threshold lies. kBins stands for what lies behind all bins.
struct BinWindow {
  int first, last;
  uint32_t before, through;  // logits in bins before `first`, and in those up to `last`
};

// Shared memory of a block. "Exchanged" is read by the cluster's other blocks between two Syncs.
struct alignas(16) Shared {
  union {
    uint32_t histogram[kBins];  // exchanged
    struct {                    // of all blocks, one behind the other
      float logit[kCandidates];
      uint32_t block[kCandidates];
      uint64_t mass[kCandidates];  // before the filters
      uint64_t kept[kCandidates];  // at the row's temperature
    } merged;
    uint64_t merged_top[kMaxBlocks * kMaxTopLogprobs];
  };
  Candidate candidates[kCandidates];       // exchanged
  uint32_t num_candidates;                 // exchanged; may exceed kCandidates
  uint64_t partial[kNumPartials][kWarps];  // exchanged
  float warp_max[2][kWarps];               // exchanged; of the logits given, of those edited
  float warp_min[kWarps];                  // exchanged
  uint32_t warp_first[kWarps];             // exchanged
  uint64_t top[kMaxTopLogprobs];           // exchanged

  uint64_t sum[kNumPartials];  // over the cluster
  uint64_t kept_of_block[kMaxBlocks];
  uint64_t kept_of_warp[kWarps];
  uint32_t candidates_before[kMaxBlocks + 1];  // in the blocks before this one; the last: in all
  uint64_t scan_mass[kWarps];
  uint32_t scan_count[kWarps];
  uint64_t best[2][kWarps];
  BinWindow windows[2];
  uint32_t threshold_key;
};

// The row's blocks as a group. kCluster false: one block.
template <bool kCluster>
struct Team {
  int rank = 0, size = 1;

  __device__ Team() {
#if __CUDA_ARCH__ >= 900
    if constexpr (kCluster) {
      rank = static_cast<int>(cooperative_groups::this_cluster().block_rank());
      size = static_cast<int>(cooperative_groups::this_cluster().num_blocks());
    }
#endif
  }
  // All threads of all blocks; orders their accesses to shared memory.
  __device__ void Sync() const {
#if __CUDA_ARCH__ >= 900
    if constexpr (kCluster) {
      cooperative_groups::this_cluster().sync();
      return;
    }
#endif
    __syncthreads();
  }
  // What `mine` is in the shared memory of block `of`.
  template <typename T>
  __device__ const T* Of(int of, const T* mine) const {
#if __CUDA_ARCH__ >= 900
    if constexpr (kCluster) {
      return cooperative_groups::this_cluster().map_shared_rank(mine, of);
    }
#endif
    return mine;
  }
};

// What the steps below work on.
template <bool kCluster>
struct Row {
  const Params& params;
  const SampleRow& row;
  int index;  // of the row
  Team<kCluster> team;
  Shared& shared;
  float* slice;
  int begin;  // token of the slice's first logit

  __device__ int slice_size() const { return kWarps * params.chunk; }
  __device__ const float* logits() const {
    const int64_t from = params.logits_row == nullptr ? index : params.logits_row[index];
    return params.logits + from * params.vocab;
  }
};

__device__ inline int Lane() { return static_cast<int>(threadIdx.x) % kWarp; }
__device__ inline int WarpIndex() { return static_cast<int>(threadIdx.x) / kWarp; }

// NaN if one of them is.
__device__ inline float MaxOrNan(float a, float b) {
  float result;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}

struct MaxOf {
  __device__ float operator()(float a, float b) const { return MaxOrNan(a, b); }
};
struct MinOf {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a < b ? a : b;
  }
};
struct SumOf {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct LargestOf {
  __device__ uint64_t operator()(uint64_t a, uint64_t b) const { return a > b ? a : b; }
};

// All lanes get the result over `kLanes` neighbouring lanes.
template <int kLanes = kWarp, typename T, typename Op>
__device__ inline T WarpReduce(T x, Op op) {
#pragma unroll
  for (int offset = kLanes / 2; offset > 0; offset /= 2) {
    x = op(x, __shfl_xor_sync(~0u, x, offset));
  }
  return x;
}

// Inclusive, over the warp.
template <typename T>
__device__ inline T WarpScan(T x) {
#pragma unroll
  for (int offset = 1; offset < kWarp; offset *= 2) {
    const T below = __shfl_up_sync(~0u, x, offset);
    if (Lane() >= offset) x += below;
  }
  return x;
}

// One entry per warp of each block -> their reduction, in all lanes. Between two Syncs.
template <bool kCluster, typename T, typename Op>
__device__ inline T ReduceExchanged(const Team<kCluster>& team, const T (&per_warp)[kWarps],
                                    T identity, Op op) {
  T result = identity;
  for (int i = Lane(); i < team.size * kWarps; i += kWarp) {
    result = op(result, team.Of(i / kWarps, &per_warp[0])[i % kWarps]);
  }
  return WarpReduce(result, op);
}

// Unsigned integers in the order of the floats that they stand for.
__device__ inline uint32_t KeyOf(float x) {
  const uint32_t bits = __float_as_uint(x);
  return bits ^ ((bits >> 31) != 0 ? ~uint32_t{0} : uint32_t{1} << 31);
}
__device__ inline float OfKey(uint32_t key) {
  return __uint_as_float(key ^ ((key >> 31) != 0 ? uint32_t{1} << 31 : ~uint32_t{0}));
}
// Neighbours of a float; there is one zero.
__device__ inline float Below(float x) {
  const float below = OfKey(KeyOf(x) - 1);
  return below == x ? OfKey(KeyOf(x) - 2) : below;
}
__device__ inline float Above(float x) {
  const float above = OfKey(KeyOf(x) + 1);
  return above == x ? OfKey(KeyOf(x) + 2) : above;
}

// Calls f(logit, index in the slice) for each logit that is the calling thread's.
template <typename F>
__device__ __forceinline__ void ForMine(const float* slice, int chunk, F f) {
  const int begin = WarpIndex() * chunk + Lane() * 4;
#pragma unroll 2
  for (int i = begin; i < begin - Lane() * 4 + chunk; i += kStride) {
    const float4 four = *reinterpret_cast<const float4*>(slice + i);
    f(four.x, i);
    f(four.y, i + 1);
    f(four.z, i + 2);
    f(four.w, i + 3);
  }
}

}  // namespace skein::sampling
