// The blocks that sample one row: a cluster with the row's logits in their shared memory, or one
// block with them in global memory where there are no clusters.
#pragma once

#include <cfloat>
#include <cstdint>

#include <cooperative_groups.h>

#include "kernels/sample/sample.h"
#include "kernels/sample/sample_shape.h"

namespace skein::sampling {

inline constexpr int kWarp = 32;
inline constexpr int kWarps = kSampleWarps;  // of a block
inline constexpr int kThreads = kWarps * kWarp;
inline constexpr int kStride = kWarp * 4;  // logits that a warp takes at once
inline constexpr int kMaxBlocks = 8;       // of a cluster

// Sizes that let three blocks with 16384 logits each share a multiprocessor.
inline constexpr int kUpperBins = 4 * kThreads;          // of a histogram: four of each thread
inline constexpr int kBins = kUpperBins + 2 * kThreads;  // and two more of each
inline constexpr int kListed = 448;   // logits of a block among which a threshold is looked for
inline constexpr int kMerged = 1024;  // the same, of all blocks
inline constexpr int kFineBins = 128;
inline constexpr int kPicked = 128;  // logits of one fine bin

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

// Sums over a slice, exact.
enum Partial { kAboveMass, kWindowMass, kTotalMass, kAboveCount, kKept, kNumPartials };

enum List { kPenalties, kBiases, kBanned, kNumLists };

// Bins in which a threshold lies. kBins stands for what lies behind all bins.
struct BinWindow {
  int first, last;
  uint32_t before, through;  // logits in bins before `first`, and in those up to `last`
};

// The first bin through which a target is reached.
struct Crossing {
  int bin;
  uint32_t before, through;  // logits in bins before it, and with it
};
inline constexpr int kNumCrossings = 4;

// The fine bin in which a threshold lies. Counts and masses before it are of the whole row.
struct FineBin {
  int bin;
  uint32_t size, count_before;
  uint64_t mass, mass_before;
};

// Where a draw falls.
struct Aim {
  uint64_t total;   // weight of all that was kept
  double target;    // the running sum exceeds it where the drawn token is added
  int chunk;        // of this block, in which that is; -1: in another block
  uint64_t before;  // sum before the chunk
};

template <typename T>
using OfWarps = T[kMaxBlocks * kWarps];  // an entry for each warp of the row, by block

// Shared memory of a block. "Read by others": by the cluster's other blocks, between two Syncs.
// "Written by others": before a Sync, to be read after it and until the next one.
struct alignas(16) Shared {
  union {
    uint32_t histogram[kBins];  // read by others
    // Once no other block reads the histogram.
    struct {
      float logits[kMerged];  // the listed logits of all blocks, one behind the other
      union {
        struct {
          uint32_t count[kFineBins];
          uint32_t low[kFineBins], high[kFineBins];  // halves of the mass
        } fine;
        struct {
          uint64_t mass[kPicked];
          float logit[kPicked];
        } picked;
      };
    } merged;
    uint64_t merged_top[kMaxBlocks * kMaxTopLogprobs];
  };
  union {
    float listed[kListed];         // read by others
    OfWarps<uint64_t> raw_weight;  // written by others, before anything is listed
  };
  uint8_t listed_warp[kListed];   // in whose chunk it lies
  uint64_t top[kMaxTopLogprobs];  // read by others

  OfWarps<uint32_t> max, first;             // written by others
  uint64_t sums[kNumPartials][kMaxBlocks];  // written by others
  uint32_t num_listed_of[kMaxBlocks];       // written by others

  SampleRow row;
  int64_t logits_row;
  int32_t list_begin[kNumLists], list_end[kNumLists];

  uint64_t partial[kNumPartials][kWarps];
  uint32_t num_listed;                           // may exceed kListed
  uint32_t kept_low[kWarps], kept_high[kWarps];  // of listed logits, halves, by chunk
  uint64_t kept_merged[kWarps];                  // of merged logits, by who added them up
  uint64_t scan_mass[2 * kWarps];
  uint32_t scan_count[2 * kWarps];
  uint64_t last_bin_mass;
  uint64_t best[2][kWarps];
  Crossing crossings[kNumCrossings];
  FineBin found;
  Aim aim;
  uint32_t num_picked;
  uint32_t lowest_key, highest_key, threshold_key;
};
static_assert(sizeof(SampleRow) % sizeof(uint32_t) == 0);

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
  // The halves of a Sync. In between only a block's own shared memory may be touched.
  __device__ void Arrive() const {
#if __CUDA_ARCH__ >= 900
    if constexpr (kCluster) {
      __syncwarp();
      cooperative_groups::this_cluster().barrier_arrive();
    }
#endif
  }
  __device__ void Wait() const {
#if __CUDA_ARCH__ >= 900
    if constexpr (kCluster) {
      cooperative_groups::this_cluster().barrier_wait();
      return;
    }
#endif
    __syncthreads();
  }
  // What `mine` is in the shared memory of block `of`.
  template <typename T>
  __device__ T* Of(int of, T* mine) const {
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
  int index;  // of the row
  Team<kCluster> team;
  Shared& shared;
  float* slice;
  int begin;  // token of the slice's first logit

  __device__ const SampleRow& row() const { return shared.row; }
  __device__ int slice_size() const { return kWarps * params.chunk; }
  __device__ const float* logits() const {
    return params.logits + shared.logits_row * params.vocab;
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

struct LargestOf {
  __device__ uint64_t operator()(uint64_t a, uint64_t b) const { return a > b ? a : b; }
};
struct MaxOf {
  static constexpr uint32_t kIdentity = 0;
  __device__ static uint32_t Warp(uint32_t x) { return __reduce_max_sync(~0u, x); }
  __device__ uint32_t operator()(uint32_t a, uint32_t b) const { return max(a, b); }
};
struct MinOf {
  static constexpr uint32_t kIdentity = ~0u;
  __device__ static uint32_t Warp(uint32_t x) { return __reduce_min_sync(~0u, x); }
  __device__ uint32_t operator()(uint32_t a, uint32_t b) const { return min(a, b); }
};
struct SumOf {
  static constexpr uint64_t kIdentity = 0;
  // In three parts of which 32 sum up without a carry.
  __device__ static uint64_t Warp(uint64_t x) {
    constexpr uint32_t kPart = (1u << 27) - 1;
    const uint32_t low = __reduce_add_sync(~0u, static_cast<uint32_t>(x) & kPart);
    const uint32_t middle = __reduce_add_sync(~0u, static_cast<uint32_t>(x >> 27) & kPart);
    const uint32_t high = __reduce_add_sync(~0u, static_cast<uint32_t>(x >> 54));
    return low + (static_cast<uint64_t>(middle) << 27) + (static_cast<uint64_t>(high) << 54);
  }
  __device__ uint64_t operator()(uint64_t a, uint64_t b) const { return a + b; }
};

// All lanes get the result.
template <typename T, typename Op>
__device__ inline T WarpReduce(T x, Op op) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
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

// Reduces over the row: all warps publish, Sync, all warps combine. All lanes get the result.
template <typename Op, bool kCluster, typename T>
__device__ inline void Publish(const Row<kCluster>& r, OfWarps<T>& all, T mine) {
  mine = Op::Warp(mine);
  if (Lane() < r.team.size) {
    *r.team.Of(Lane(), &all[r.team.rank * kWarps + WarpIndex()]) = mine;
  }
}
template <typename Op, bool kCluster, typename T>
__device__ inline T Combine(const Row<kCluster>& r, const OfWarps<T>& all) {
  T result = Op::kIdentity;
  for (int i = Lane(); i < r.team.size * kWarps; i += kWarp) result = Op()(result, all[i]);
  return Op::Warp(result);
}

// Adds to a number of 64 bits in two halves, of which no reader sees one alone before a barrier.
__device__ inline void AddHalves(uint32_t* low, uint32_t* high, uint64_t x) {
  const uint32_t add = static_cast<uint32_t>(x);
  const bool carry = atomicAdd(low, add) > ~add;
  const uint32_t above = static_cast<uint32_t>(x >> 32) + (carry ? 1 : 0);
  if (above > 0) atomicAdd(high, above);
}

// Unsigned integers in the order of the floats that they stand for. Both zeros have one.
__device__ inline uint32_t KeyOf(float x) {
  const uint32_t bits = __float_as_uint(x + 0.0f);
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

// Calls f(logits, index of the first in the slice) for each four that are the calling thread's.
template <bool kCluster, typename F>
__device__ __forceinline__ void ForMyFours(const Row<kCluster>& r, F f) {
  const int begin = WarpIndex() * r.params.chunk;
#pragma unroll 2
  for (int i = begin + Lane() * 4; i < begin + r.params.chunk; i += kStride) {
    const float4 four = *reinterpret_cast<const float4*>(r.slice + i);
    f({four.x, four.y, four.z, four.w}, i);
  }
}

// Calls f(logits) for all that are the calling thread's, eight at once. Minus infinity fills up the
// last eight.
template <bool kCluster, typename F>
__device__ __forceinline__ void ForMyEights(const Row<kCluster>& r, F f) {
  const int begin = WarpIndex() * r.params.chunk, end = begin + r.params.chunk;
#pragma unroll 1
  for (int i = begin + Lane() * 4; i < end; i += 2 * kStride) {
    const float4 a = *reinterpret_cast<const float4*>(r.slice + i);
    float4 b = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    if (i + kStride < end) b = *reinterpret_cast<const float4*>(r.slice + i + kStride);
    f({a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w});
  }
}

// Calls f(logit, index in the slice) for each logit that is the calling thread's.
template <bool kCluster, typename F>
__device__ __forceinline__ void ForMine(const Row<kCluster>& r, F f) {
  ForMyFours(r, [&](const float(&logits)[4], int i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) f(logits[j], i + j);
  });
}

}  // namespace skein::sampling
