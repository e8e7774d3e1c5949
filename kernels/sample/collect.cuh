// One pass over a row that splits it at a window of logits: exact sums of what lies above and
// inside, and the few logits inside as candidates for a threshold.
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
  uint32_t above_count, candidates;
};

// Masses are wanted only for filters. `floor`: logits below it are not kept.
template <bool kMass, bool kOneRate, bool kCluster>
__device__ void SumSlice(const Row<kCluster>& r, const Rates& rates, const Window& window,
                         float floor) {
  Shared& shared = r.shared;
  uint64_t above = 0, inside = 0, total = 0, kept = 0;
  uint32_t above_count = 0;
  ForMine(r.slice, r.params.chunk, [&](float logit, int i) {
    uint64_t weight = 0;
    if (kMass) total += weight = Weight(logit, rates.max, rates.filter);
    if (logit > window.high) {
      if (kMass) {
        above += weight;
        ++above_count;
      }
      if (!kOneRate && logit >= floor) kept += Weight(logit, rates.max, rates.kept);
    } else if (kMass && logit >= window.low) {
      inside += weight;
      const uint32_t at = atomicAdd(&shared.num_candidates, 1u);
      if (at < kCandidates) shared.candidates[at] = {logit, static_cast<uint32_t>(i)};
    }
  });
  const auto publish = [&](Partial which, uint64_t sum) {
    sum = WarpReduce(sum, SumOf());
    if (Lane() == 0) shared.partial[which][WarpIndex()] = sum;
  };
  publish(kKept, kOneRate ? above : kept);
  if (!kMass) return;
  publish(kAboveMass, above);
  publish(kWindowMass, inside);
  publish(kTotalMass, total);
  publish(kAboveCount, above_count);
}

// What the blocks have published, added up; each warp does another sum.
template <bool kMass, bool kCluster>
__device__ void AddUp(const Row<kCluster>& r) {
  Shared& shared = r.shared;
  const int warp = WarpIndex();
  if (warp < kKept && kMass) {
    const uint64_t sum = ReduceExchanged(r.team, shared.partial[warp], uint64_t{0}, SumOf());
    if (Lane() == 0) shared.sum[warp] = sum;
  } else if (warp >= kKept && warp < kKept + kMaxBlocks) {
    const int block = warp - kKept;
    if (block < r.team.size) {
      const uint64_t* kept = r.team.Of(block, shared.partial[kKept]);
      const uint64_t sum = WarpReduce(Lane() < kWarps ? kept[Lane()] : 0, SumOf());
      if (Lane() == 0) shared.kept_of_block[block] = sum;
    }
  } else if (warp == kKept + kMaxBlocks && kMass) {
    const int block = Lane();
    const uint32_t count = block < r.team.size ? *r.team.Of(block, &shared.num_candidates) : 0;
    const uint32_t through = WarpScan(count);
    if (block < kMaxBlocks) shared.candidates_before[block + 1] = through;
    if (block == 0) shared.candidates_before[0] = 0;
  }
  __syncthreads();
}

// The candidates of all blocks, with their weights; together at most kCandidates.
template <bool kCluster>
__device__ void MergeCandidates(const Row<kCluster>& r, const Rates& rates, uint32_t count) {
  Shared& shared = r.shared;
  for (uint32_t i = threadIdx.x; i < count; i += kThreads) {
    int block = 0;
    while (i >= shared.candidates_before[block + 1]) ++block;
    const float logit =
        r.team.Of(block, shared.candidates)[i - shared.candidates_before[block]].logit;
    shared.merged.logit[i] = logit;
    shared.merged.block[i] = block;
    shared.merged.mass[i] = Weight(logit, rates.max, rates.filter);
    shared.merged.kept[i] = Weight(logit, rates.max, rates.kept);
  }
  __syncthreads();
}

// There must be no candidates yet. Other blocks read what this publishes until the next Sync.
template <bool kMass, bool kCluster>
__device__ Sums Collect(const Row<kCluster>& r, const Rates& rates, const Window& window,
                        float floor) {
  if (kMass && rates.filter == rates.kept && floor == -INFINITY) {
    SumSlice<kMass, true>(r, rates, window, floor);
  } else {
    SumSlice<kMass, false>(r, rates, window, floor);
  }
  r.team.Sync();
  AddUp<kMass>(r);
  if (!kMass) return {};
  const Shared& shared = r.shared;
  const Sums sums = {shared.sum[kAboveMass], shared.sum[kWindowMass], shared.sum[kTotalMass],
                     static_cast<uint32_t>(shared.sum[kAboveCount]),
                     shared.candidates_before[kMaxBlocks]};
  if (sums.candidates <= kCandidates) MergeCandidates(r, rates, sums.candidates);
  return sums;
}

}  // namespace skein::sampling
