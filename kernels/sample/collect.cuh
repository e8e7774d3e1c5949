// One pass over a row that splits it at a window of logits: exact sums of what lies above and
// inside, and a list of the few logits inside.
#pragma once

#include "kernels/sample/block.cuh"
#include "kernels/sample/weights.cuh"

namespace skein::sampling {

// How logits become weights: before the filters, and at the row's temperature.
struct Rates {
  float max;
  float filter, kept;
};

// low > high: there is no window, and what lies above `high` is kept.
struct Window {
  float low, high;
};

// Over the whole row. `kept` has no part here: it stays apart by block.
struct Sums {
  uint64_t above_mass, window_mass, total_mass;
  uint32_t above_count, in_window;
  bool listed;  // all logits in the window are
};

// What a pass adds up: the kept weight; masses for a filter, of which those above the window are
// the kept weight too; or both apart, and how many lie above.
enum class Wanted { kKept, kMass, kBoth };

// Adds those of the logits whose bits are set to the block's list.
template <int kNum>
__device__ __forceinline__ void AddToList(Shared& shared, const float (&logits)[kNum],
                                          uint32_t inside) {
  uint32_t at = atomicAdd(&shared.num_listed, static_cast<uint32_t>(__popc(inside)));
#pragma unroll
  for (int j = 0; j < kNum; ++j) {
    if ((inside >> j & 1) == 0) continue;
    if (at < kListed) {
      shared.listed[at] = logits[j];
      shared.listed_warp[at] = static_cast<uint8_t>(WarpIndex());
    }
    ++at;
  }
}

// `floor`: logits below it are not kept.
template <Wanted kWanted, bool kCluster>
__device__ void SumSlice(const Row<kCluster>& r, const Rates& rates, const Window& window,
                         float floor) {
  Shared& shared = r.shared;
  uint64_t above = 0, inside = 0, total = 0, kept = 0;
  uint32_t above_count = 0;
  ForMyEights(r, [&](const float(&logits)[8]) {
    if constexpr (kWanted != Wanted::kKept) {
      const Weights<8> weights(logits, rates.max, rates.filter);
      bool any_inside = false;
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        const bool is_above = logits[j] > window.high;
        any_inside |= !is_above && logits[j] >= window.low;
        weights.AddTo(total, j);
        weights.AddIf(is_above, above, j);
        if (kWanted == Wanted::kBoth) above_count += is_above ? 1 : 0;
      }
      if (any_inside) {
        uint32_t which = 0;
#pragma unroll
        for (int j = 0; j < 8; ++j) {
          const bool is_inside = logits[j] <= window.high && logits[j] >= window.low;
          weights.AddIf(is_inside, inside, j);
          which |= is_inside ? 1u << j : 0;
        }
        AddToList(shared, logits, which);
      }
    }
    if constexpr (kWanted != Wanted::kMass) {
      bool counts[8], any_counts = false;
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        any_counts |= counts[j] = logits[j] > window.high && logits[j] >= floor;
      }
      if (!any_counts) return;
      const Weights<8> weights(logits, rates.max, rates.kept);
#pragma unroll
      for (int j = 0; j < 8; ++j) weights.AddIf(counts[j], kept, j);
    }
  });
  const auto publish = [&](Partial which, uint64_t sum) {
    if (Lane() == 0) shared.partial[which][WarpIndex()] = sum;
  };
  if (kWanted == Wanted::kKept) {
    publish(kKept, SumOf::Warp(kept));
    return;
  }
  above = SumOf::Warp(above);
  publish(kAboveMass, above);
  publish(kKept, kWanted == Wanted::kMass ? above : SumOf::Warp(kept));
  publish(kWindowMass, SumOf::Warp(inside));
  publish(kTotalMass, SumOf::Warp(total));
  if (kWanted == Wanted::kBoth) {
    publish(kAboveCount, SumOf::Warp(above_count));
  } else {
    publish(kAboveCount, 0);
  }
}

// Adds up the sums of the block's warps and hands them to all blocks; each warp does another one.
template <bool kMass, bool kCluster>
__device__ void PublishSums(const Row<kCluster>& r) {
  Shared& shared = r.shared;
  const int which = WarpIndex();
  if (which < kNumPartials && (kMass || which == kKept)) {
    const uint64_t sum = SumOf::Warp(Lane() < kWarps ? shared.partial[which][Lane()] : 0);
    if (Lane() < r.team.size) *r.team.Of(Lane(), &shared.sums[which][r.team.rank]) = sum;
  } else if (which == kNumPartials && Lane() < r.team.size) {
    *r.team.Of(Lane(), &shared.num_listed_of[r.team.rank]) = shared.num_listed;
  }
}

// The sums of what is kept: of all above `window.high` and at or above `floor`. There until the
// next Sync.
template <bool kCluster>
__device__ void CollectKept(const Row<kCluster>& r, const Rates& rates, float high, float floor) {
  SumSlice<Wanted::kKept>(r, rates, {INFINITY, high}, floor);
  __syncthreads();
  PublishSums<false>(r);
  r.team.Sync();
}

// The same, and those of a filter. The list must be empty. `counts`: above_count is wanted.
template <bool kCluster>
__device__ Sums Collect(const Row<kCluster>& r, const Rates& rates, const Window& window,
                        float floor, bool counts) {
  if (!counts && rates.filter == rates.kept && floor == -INFINITY) {
    SumSlice<Wanted::kMass>(r, rates, window, floor);
  } else {
    SumSlice<Wanted::kBoth>(r, rates, window, floor);
  }
  __syncthreads();
  PublishSums<true>(r);
  r.team.Sync();
  const Shared& shared = r.shared;
  Sums sums = {};
  sums.listed = true;
#pragma unroll
  for (int block = 0; block < kMaxBlocks; ++block) {
    if (block >= r.team.size) continue;
    sums.above_mass += shared.sums[kAboveMass][block];
    sums.window_mass += shared.sums[kWindowMass][block];
    sums.total_mass += shared.sums[kTotalMass][block];
    sums.above_count += static_cast<uint32_t>(shared.sums[kAboveCount][block]);
    sums.in_window += shared.num_listed_of[block];
    sums.listed &= shared.num_listed_of[block] <= kListed;
  }
  sums.listed &= sums.in_window <= kMerged;
  return sums;
}

// Calls f(place among all, block, place in the block's list) for the listed logits of the row that
// are the calling thread's. Those of a block go to warps of their own.
template <bool kCluster, typename F>
__device__ __forceinline__ void ForMyListed(const Row<kCluster>& r, F f) {
  const int block = WarpIndex() % r.team.size, part = WarpIndex() / r.team.size;
  int before = 0;
#pragma unroll
  for (int b = 0; b < kMaxBlocks - 1; ++b) {
    before += b < block ? static_cast<int>(r.shared.num_listed_of[b]) : 0;
  }
  const int count = static_cast<int>(r.shared.num_listed_of[block]);
  for (int i = part * kWarp + Lane(); i < count; i += kThreads / r.team.size) {
    f(before + i, block, i);
  }
}

}  // namespace skein::sampling
