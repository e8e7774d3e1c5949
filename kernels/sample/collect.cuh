// One pass over a row that splits it at a window of logits: exact sums of what lies above and
// inside, and a list of the few logits inside.
#pragma once

#include "kernels/sample/block.cuh"
#include "kernels/sample/four_weights.cuh"

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

// Adds one of the logits inside the window to the block's list.
__device__ inline void AddToList(Shared& shared, float logit) {
  const uint32_t at = atomicAdd(&shared.num_listed, 1u);
  if (at >= kListed) return;
  shared.listed[at] = logit;
  shared.listed_warp[at] = static_cast<uint8_t>(WarpIndex());
}

// `floor`: logits below it are not kept.
template <Wanted kWanted, bool kCluster>
__device__ void SumSlice(const Row<kCluster>& r, const Rates& rates, const Window& window,
                         float floor) {
  Shared& shared = r.shared;
  uint64_t above = 0, inside = 0, total = 0, kept = 0;
  uint32_t above_count = 0;
  ForMyFours(r, [&](const float(&logits)[4], int) {
    if constexpr (kWanted != Wanted::kKept) {
      const FourWeights weights(logits, rates.max, rates.filter);
      bool any_inside = false;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const bool is_above = logits[j] > window.high;
        any_inside |= !is_above && logits[j] >= window.low;
        weights.AddTo(total, j);
        weights.AddIf(is_above, above, j);
        if (kWanted == Wanted::kBoth) above_count += is_above ? 1 : 0;
      }
      if (any_inside) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          if (logits[j] > window.high || logits[j] < window.low) continue;
          inside += weights.Of(j);
          AddToList(shared, logits[j]);
        }
      }
    }
    if constexpr (kWanted != Wanted::kMass) {
      bool counts[4], any_counts = false;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        any_counts |= counts[j] = logits[j] > window.high && logits[j] >= floor;
      }
      if (!any_counts) return;
      const FourWeights weights(logits, rates.max, rates.kept);
#pragma unroll
      for (int j = 0; j < 4; ++j) weights.AddIf(counts[j], kept, j);
    }
  });
  const auto publish = [&](Partial which, uint64_t sum) {
    sum = SumOf::Warp(sum);
    if (Lane() == 0) shared.partial[which][WarpIndex()] = sum;
  };
  publish(kKept, kWanted == Wanted::kMass ? above : kept);
  if (kWanted == Wanted::kKept) return;
  publish(kAboveMass, above);
  publish(kWindowMass, inside);
  publish(kTotalMass, total);
  publish(kAboveCount, above_count);
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
  for (int block = 0; block < r.team.size; ++block) {
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
  for (int b = 0; b < block; ++b) before += static_cast<int>(r.shared.num_listed_of[b]);
  const int count = static_cast<int>(r.shared.num_listed_of[block]);
  for (int i = part * kWarp + Lane(); i < count; i += kThreads / r.team.size) {
    f(before + i, block, i);
  }
}

}  // namespace skein::sampling
