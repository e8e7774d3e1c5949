// One pass over a row that splits it at a window of logits: exact sums of what lies above and
// inside, and a list of the few logits inside.
#pragma once

#include "kernels/sample/block.cuh"
#include "kernels/sample/weight.h"

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

// Masses are wanted only for filters. `floor`: logits below it are not kept.
template <bool kMass, bool kOneRate, bool kCluster>
__device__ void SumSlice(const Row<kCluster>& r, const Rates& rates, const Window& window,
                         float floor) {
  Shared& shared = r.shared;
  uint64_t above = 0, inside = 0, total = 0, kept = 0;
  uint32_t above_count = 0;
  const auto list = [&](float logit, uint64_t weight) {
    inside += weight;
    const uint32_t at = atomicAdd(&shared.num_listed, 1u);
    if (at >= kListed) return;
    shared.listed[at] = logit;
    shared.listed_warp[at] = static_cast<uint8_t>(WarpIndex());
  };
  ForMyFours(r, [&](const float(&logits)[4], int) {
    bool any_inside = false;
    uint64_t weights[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float logit = logits[j];
      const bool is_above = logit > window.high;
      if (kMass) {
        total += weights[j] = Weight(logit, rates.max, rates.filter);
        any_inside |= !is_above && logit >= window.low;
        if (is_above) {
          above += weights[j];
          ++above_count;
        }
      }
      if (!kOneRate && is_above && logit >= floor) kept += Weight(logit, rates.max, rates.kept);
    }
    if (!any_inside) return;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (logits[j] <= window.high && logits[j] >= window.low) list(logits[j], weights[j]);
    }
  });
  const auto publish = [&](Partial which, uint64_t sum) {
    sum = SumOf::Warp(sum);
    if (Lane() == 0) shared.partial[which][WarpIndex()] = sum;
  };
  publish(kKept, kOneRate ? above : kept);
  if (!kMass) return;
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

// The list must be empty. What this publishes is there until the next Sync.
template <bool kMass, bool kCluster>
__device__ Sums Collect(const Row<kCluster>& r, const Rates& rates, const Window& window,
                        float floor) {
  if (kMass && rates.filter == rates.kept && floor == -INFINITY) {
    SumSlice<kMass, true>(r, rates, window, floor);
  } else {
    SumSlice<kMass, false>(r, rates, window, floor);
  }
  __syncthreads();
  PublishSums<kMass>(r);
  r.team.Sync();
  if (!kMass) return {};
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
