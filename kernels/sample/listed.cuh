// The threshold among the listed logits of a window (collect.cuh): bins of equal width inside it
// with exact masses, then one by one in the bin that has it.
#pragma once

#include "kernels/sample/collect.cuh"
#include "kernels/sample/histogram.cuh"

namespace skein::sampling {

// Which fine bin of the window a logit belongs to; the largest logits are in bin 0.
struct FineScale {
  float high, per_unit;

  __device__ explicit FineScale(const Window& window)
      : high(window.high), per_unit(kFineBins / (window.high - window.low)) {}
  __device__ int operator()(float logit) const {
    const float bin = fminf((high - logit) * per_unit, kFineBins - 1);
    return static_cast<int>(bin);
  }
};

// Merges the listed logits of all blocks, and counts and weighs them by fine bin.
template <bool kCluster>
__device__ void Merge(const Row<kCluster>& r, const Rates& rates, const FineScale& bin_of) {
  Shared& shared = r.shared;
  auto& fine = shared.merged.fine;
  for (int bin = static_cast<int>(threadIdx.x); bin < kFineBins; bin += kThreads) {
    fine.count[bin] = fine.low[bin] = fine.high[bin] = 0;
  }
  __syncthreads();
  ForMyListed(r, [&](int i, int block, int there) {
    const float logit = r.team.Of(block, &shared.listed[0])[there];
    shared.merged.logits[i] = logit;
    const int bin = bin_of(logit);
    atomicAdd(&fine.count[bin], 1u);
    AddHalves(&fine.low[bin], &fine.high[bin], Weight(logit, rates.max, rates.filter));
  });
  __syncthreads();
}

// The first fine bin with which the goal is reached; there is one. `above`: the whole window.
template <bool kCluster>
__device__ FineBin FindFineBin(const Row<kCluster>& r, const Goal& goal, const Bracket& above,
                               double target) {
  Shared& shared = r.shared;
  const int bin = static_cast<int>(threadIdx.x);
  const bool has_bin = bin < kFineBins;
  const auto& fine = shared.merged.fine;
  const uint32_t own_count = has_bin ? fine.count[bin] : 0;
  const uint64_t own_mass =
      has_bin ? fine.low[bin] | static_cast<uint64_t>(fine.high[bin]) << 32 : 0;
  uint32_t count = above.above_count + WarpScan(own_count);
  uint64_t mass = above.above_mass + WarpScan(own_mass);
  if (Lane() == kWarp - 1) {
    shared.scan_count[WarpIndex()] = count - above.above_count;
    shared.scan_mass[WarpIndex()] = mass - above.above_mass;
  }
  __syncthreads();
  if (own_count > 0) {
    for (int warp = 0; warp < WarpIndex(); ++warp) {
      count += shared.scan_count[warp];
      mass += shared.scan_mass[warp];
    }
    if (goal.Reached(count, mass, target) &&
        !goal.Reached(count - own_count, mass - own_mass, target)) {
      shared.found = {bin, own_count, count - own_count, own_mass, mass - own_mass};
    }
  }
  __syncthreads();
  return shared.found;
}

// The smallest and the largest logit of a fine bin.
template <bool kCluster>
__device__ Window EndsOf(const Row<kCluster>& r, const FineScale& bin_of, int bin) {
  Shared& shared = r.shared;
  ForMyListed(r, [&](int i, int, int) {
    const float logit = shared.merged.logits[i];
    if (bin_of(logit) != bin) return;
    atomicMin(&shared.lowest_key, KeyOf(logit));
    atomicMax(&shared.highest_key, KeyOf(logit));
  });
  __syncthreads();
  return {OfKey(shared.lowest_key), OfKey(shared.highest_key)};
}

// The threshold among the logits of a fine bin.
template <bool kCluster>
__device__ float PickFrom(const Row<kCluster>& r, const Rates& rates, const Goal& goal,
                          const FineScale& bin_of, const FineBin& found, double target) {
  Shared& shared = r.shared;
  auto& picked = shared.merged.picked;
  ForMyListed(r, [&](int i, int, int) {
    const float logit = shared.merged.logits[i];
    if (bin_of(logit) != found.bin) return;
    const uint32_t at = atomicAdd(&shared.num_picked, 1u);
    picked.logit[at] = logit;
    picked.mass[at] = Weight(logit, rates.max, rates.filter);
  });
  __syncthreads();
  if (threadIdx.x < found.size) {
    const float logit = picked.logit[threadIdx.x];
    uint32_t count = found.count_before;
    uint64_t mass = found.mass_before;
    for (uint32_t i = 0; i < found.size; ++i) {
      if (picked.logit[i] < logit) continue;
      ++count;
      mass += picked.mass[i];
    }
    if (goal.Reached(count, mass, target)) atomicMax(&shared.threshold_key, KeyOf(logit));
  }
  __syncthreads();
  return OfKey(shared.threshold_key);
}

struct Threshold {
  float logit;    // minus infinity: nothing is cut
  uint64_t mass;  // at or above it
  bool listed;    // some of what is kept is still among the listed logits
};

// Looks among the listed logits of `window`, one of which is the threshold. False if too many are
// close to it: then `bracket`, which was the window, has become smaller.
template <bool kCluster>
__device__ bool FindListed(const Row<kCluster>& r, const Rates& rates, const Goal& goal,
                           double target, Bracket* bracket, Threshold* threshold) {
  const FineScale bin_of({bracket->low, bracket->high});
  Merge(r, rates, bin_of);
  const FineBin found = FindFineBin(r, goal, *bracket, target);
  threshold->mass = found.mass_before;
  if (found.size > kPicked) {
    const Window ends = EndsOf(r, bin_of, found.bin);
    *bracket = {ends.low, ends.high, found.count_before, found.mass_before};
    if (ends.low < ends.high) return false;
    threshold->logit = ends.high;
    threshold->mass += found.mass;
    return true;
  }
  threshold->logit = PickFrom(r, rates, goal, bin_of, found, target);
  for (uint32_t i = 0; i < found.size; ++i) {
    if (r.shared.merged.picked.logit[i] >= threshold->logit)
      threshold->mass += r.shared.merged.picked.mass[i];
  }
  return true;
}

}  // namespace skein::sampling
