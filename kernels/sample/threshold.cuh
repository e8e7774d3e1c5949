// The threshold of top-k and top-p (docs/sampling.md): the largest logit v of which at least k
// logits, or at least a share of the mass, lie at or above v. A histogram says about where it lies,
// exact sums (collect.cuh) say whether that was right.
#pragma once

#include "kernels/sample/collect.cuh"

namespace skein::sampling {

// What has to lie at or above the threshold; one of both is enough.
struct Goal {
  uint32_t count;  // 0: off
  double share;    // of the mass; 0: off

  __device__ bool Reached(uint32_t found, uint64_t mass, double target) const {
    return (count > 0 && found >= count) || (share > 0 && static_cast<double>(mass) >= target);
  }
};

// Where the threshold is known to lie, and what is above that.
struct Bracket {
  float low, high;
  uint32_t above_count;
  uint64_t above_mass;
};

// How a histogram's bins are read.
struct Reading {
  double target;    // mass to reach, negative where the whole is not known
  double behind;    // at most this mass lies behind all bins
  double slack[2];  // relative error of a bin's mass by its middle: at most, and usually
};

// Windows for both kinds of slack, from the cluster's histograms. weight_of(bin): of the bin's
// middle.
template <bool kCluster, typename WeightOf>
__device__ void FindWindows(const Row<kCluster>& r, const Goal& goal, const Bracket& bracket,
                            const Reading& reading, WeightOf weight_of) {
  Shared& shared = r.shared;
  constexpr int kEach = kBins / kThreads;
  static_assert(kEach == 4);
  const int first_bin = static_cast<int>(threadIdx.x) * kEach;
  uint32_t count[kEach + 1] = {};  // of logits in bins before this one
  uint64_t mass[kEach + 1] = {};
  for (int block = 0; block < r.team.size; ++block) {
    const uint4 part =
        *reinterpret_cast<const uint4*>(r.team.Of(block, &shared.histogram[first_bin]));
    count[1] += part.x;
    count[2] += part.y;
    count[3] += part.z;
    count[4] += part.w;
  }
  for (int i = 1; i <= kEach; ++i) {
    mass[i] = mass[i - 1] + count[i] * weight_of(first_bin + i - 1);
    count[i] += count[i - 1];
  }
  const uint32_t count_through = WarpScan(count[kEach]);
  const uint64_t mass_through = WarpScan(mass[kEach]);
  if (Lane() == kWarp - 1) {
    shared.scan_count[WarpIndex()] = count_through;
    shared.scan_mass[WarpIndex()] = mass_through;
  }
  if (threadIdx.x < 2) shared.windows[threadIdx.x] = {kBins, kBins, ~0u >> 1, ~0u >> 1};
  __syncthreads();
  uint32_t count_before = count_through - count[kEach];
  uint64_t mass_before = mass_through - mass[kEach], total = 0;
  for (int warp = 0; warp < kWarps; ++warp) {
    total += shared.scan_mass[warp];
    if (warp >= WarpIndex()) continue;
    count_before += shared.scan_count[warp];
    mass_before += shared.scan_mass[warp];
  }
  for (int which = 0; which < 2; ++which) {
    const double slack = reading.slack[which];
    double least = reading.target, most = reading.target;
    if (reading.target < 0) {
      least = goal.share * static_cast<double>(total) * (1 - slack);
      most = goal.share * (static_cast<double>(total) * (1 + slack) + reading.behind);
    }
    const auto reached = [&](int i, double factor, double target) {
      const double found = static_cast<double>(mass_before + mass[i]) * factor;
      return (goal.count > 0 && bracket.above_count + count_before + count[i] >= goal.count) ||
             (goal.share > 0 && static_cast<double>(bracket.above_mass) + found >= target);
    };
    BinWindow& window = shared.windows[which];
    bool may_before = reached(0, 1 + slack, least), must_before = reached(0, 1 - slack, most);
    for (int i = 1; i <= kEach; ++i) {
      const bool may = reached(i, 1 + slack, least), must = reached(i, 1 - slack, most);
      if (may && (!may_before || first_bin + i == 1)) {
        window.first = first_bin + i - 1;
        window.before = count_before + count[i - 1];
      }
      if (must && (!must_before || first_bin + i == 1)) {
        window.last = first_bin + i - 1;
        window.through = count_before + count[i];
      }
      may_before = may;
      must_before = must;
    }
  }
  __syncthreads();
}

// The smaller window, unless the sure one has few candidates.
__device__ inline BinWindow PickWindow(const Shared& shared) {
  const BinWindow sure = shared.windows[0];
  return sure.through - sure.before <= kCandidates ? sure : shared.windows[1];
}

// Before a search: the histogram and the list of candidates are empty. Other blocks must be done
// with both.
__device__ inline void ClearSearch(Shared& shared) {
  for (int bin = threadIdx.x; bin < kBins; bin += kThreads) shared.histogram[bin] = 0;
  if (threadIdx.x == 0) shared.num_candidates = 0;
}

// Bins of equal width below the maximum; good for all but strange logits. `min`: about the smallest
// logit.
template <bool kCluster>
__device__ Window GuessWindow(const Row<kCluster>& r, const Rates& rates, const Goal& goal,
                              const Bracket& all, float min, double target) {
  using weight_internal::kRounder;
  using weight_internal::kRounderBits;
  constexpr float kReach = 32;  // weights farther away are below 2^-32
  const float range = fmaxf(fminf(rates.max - min, kReach / rates.filter), 1e-30f);
  const float per_unit = (kBins - 1) / range;
  ForMine(r.slice, r.params.chunk, [&](float logit, int) {
    const uint32_t bin =
        __float_as_uint(__fmaf_rn(rates.max - logit, per_unit, kRounder)) - kRounderBits;
    if (bin < kBins) atomicAdd(&r.shared.histogram[bin], 1u);
  });
  r.team.Sync();
  const float unit = 1 / per_unit;
  const double surely = 0.36 * unit * rates.filter + 1e-5;
  const double behind = static_cast<double>(r.params.vocab) * Weight(-range, 0, rates.filter);
  FindWindows(r, goal, all, {target, behind, {surely, surely / 8}},
              [&](int bin) { return Weight(-static_cast<float>(bin) * unit, 0, rates.filter); });
  const BinWindow bins = PickWindow(r.shared);
  // The edges of bins lie at halves; rounding is far below a hundredth.
  const float high = bins.first == 0 ? rates.max : rates.max - (bins.first - 0.51f) * unit;
  const float low = bins.last >= kBins ? -FLT_MAX : rates.max - (bins.last + 0.51f) * unit;
  return {fmaxf(low, -FLT_MAX), fmaxf(high, -FLT_MAX)};
}

// The upper half of the floats in `bracket`.
__device__ inline Window UpperHalf(const Bracket& bracket) {
  const uint32_t high = KeyOf(bracket.high), low = KeyOf(bracket.low);
  return {OfKey(high - (high - low) / 2), bracket.high};
}

// Bins of equal numbers of floats in `bracket`. The window has at most half of them, and in the end
// one.
template <bool kCluster>
__device__ Window NarrowWindow(const Row<kCluster>& r, const Rates& rates, const Goal& goal,
                               const Bracket& bracket, double target) {
  const uint32_t high = KeyOf(bracket.high), low = KeyOf(bracket.low);
  const int shift = max(0, 32 - __clz(static_cast<int>(high - low)) - 11);
  static_assert(kBins == 1 << 11);
  // A bin's width is at most that of its largest floats.
  const float largest = fmaxf(fabsf(bracket.low), fabsf(bracket.high));
  const float width = shift == 0 ? 0.0f : ldexpf(largest, shift - 23);
  const double slack = 0.36 * width * rates.filter;
  r.team.Sync();
  ClearSearch(r.shared);
  __syncthreads();
  if (goal.share > 0 && slack > 0.1) return UpperHalf(bracket);
  ForMine(r.slice, r.params.chunk, [&](float logit, int) {
    if (logit < bracket.low || logit > bracket.high) return;
    atomicAdd(&r.shared.histogram[(high - KeyOf(logit)) >> shift], 1u);
  });
  r.team.Sync();
  const auto middle = [&](int bin) {
    const uint32_t below = static_cast<uint32_t>(((bin + 0.5f) * (1u << shift)));
    return OfKey(high - min(shift == 0 ? static_cast<uint32_t>(bin) : below, high - low));
  };
  FindWindows(r, goal, bracket, {target, 0, {slack, slack / 8}},
              [&](int bin) { return Weight(middle(bin), rates.max, rates.filter); });
  BinWindow bins = PickWindow(r.shared);
  if (bins.first == kBins) return UpperHalf(bracket);
  bins.last = min(bins.last, bins.first + kBins / 4 - 1);
  const uint32_t to_high = min(static_cast<uint32_t>(bins.first) << shift, high - low);
  const uint64_t to_low = (static_cast<uint64_t>(bins.last + 1) << shift) - 1;
  return {OfKey(high - static_cast<uint32_t>(min(to_low, static_cast<uint64_t>(high - low)))),
          OfKey(high - to_high)};
}

// The threshold among the merged candidates, one of which it is.
template <bool kCluster>
__device__ float PickCandidate(const Row<kCluster>& r, const Goal& goal, const Sums& sums,
                               double target) {
  const auto& merged = r.shared.merged;
  for (uint32_t i = threadIdx.x; i < sums.candidates; i += kThreads) {
    const float logit = merged.logit[i];
    uint32_t count = sums.above_count;
    uint64_t mass = sums.above_mass;
    for (uint32_t j = 0; j < sums.candidates; ++j) {
      if (merged.logit[j] < logit) continue;
      ++count;
      mass += merged.mass[j];
    }
    if (goal.Reached(count, mass, target)) atomicMax(&r.shared.threshold_key, KeyOf(logit));
  }
  __syncthreads();
  return OfKey(r.shared.threshold_key);
}

// Mass of what lies at or above `logit`, a merged candidate.
template <bool kCluster>
__device__ uint64_t MassFrom(const Row<kCluster>& r, const Sums& sums, float logit) {
  uint64_t mass = sums.above_mass;
  for (uint32_t i = 0; i < sums.candidates; ++i) {
    if (r.shared.merged.logit[i] >= logit) mass += r.shared.merged.mass[i];
  }
  return mass;
}

struct Threshold {
  float logit;      // minus infinity: nothing is cut
  uint64_t mass;    // at or above it; set only where `wants_mass`
  bool candidates;  // some of what is kept is still among the merged candidates
};

// `whole`: what goal.share is a share of; 0 stands for the row's mass. The search must be clear.
// Where the result says that there are candidates, what lies above them is collected as kept;
// otherwise nothing useful is.
template <bool kCluster>
__device__ Threshold FindThreshold(const Row<kCluster>& r, const Rates& rates, const Goal& goal,
                                   float floor, float min, uint64_t whole, bool wants_mass) {
  Shared& shared = r.shared;
  Bracket bracket = {-FLT_MAX, rates.max, 0, 0};
  const auto target = [&] { return whole == 0 ? -1.0 : goal.share * static_cast<double>(whole); };
  Window window = GuessWindow(r, rates, goal, bracket, min, target());
  if (threadIdx.x == 0) shared.threshold_key = 0;
  Threshold threshold = {-INFINITY, 0, false};
  while (true) {
    const Sums sums = Collect<true>(r, rates, window, floor);
    if (whole == 0) whole = sums.total_mass;
    if (goal.Reached(sums.above_count, sums.above_mass, target())) {
      bracket.low = Above(window.high);
    } else {
      const uint32_t through = sums.above_count + sums.candidates;
      const uint64_t mass_through = sums.above_mass + sums.window_mass;
      threshold.mass = mass_through;
      if (goal.Reached(through, mass_through, target())) {
        bracket = {window.low, window.high, sums.above_count, sums.above_mass};
        threshold.candidates = sums.candidates <= kCandidates;
        if (threshold.candidates) {
          threshold.logit = PickCandidate(r, goal, sums, target());
          if (wants_mass) threshold.mass = MassFrom(r, sums, threshold.logit);
          return threshold;
        }
        threshold.logit = window.low;
        if (window.low == window.high) return threshold;
      } else {
        if (window.low == -FLT_MAX) return threshold;
        bracket.high = Below(window.low);
        bracket.above_count = through;
        bracket.above_mass = mass_through;
      }
    }
    window = NarrowWindow(r, rates, goal, bracket, target());
  }
}

}  // namespace skein::sampling
