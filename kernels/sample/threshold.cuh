// The threshold of top-k and top-p (docs/sampling.md): the largest logit v of which at least k
// logits, or at least a share of the mass, lie at or above v. A histogram says about where it lies,
// exact sums (collect.cuh) say whether that was right.
#pragma once

#include "kernels/sample/listed.cuh"

namespace skein::sampling {

// How a histogram's bins are read.
struct Reading {
  float target;    // mass to reach, negative where the whole is not known
  float behind;    // at most this mass lies behind all bins
  float slack[2];  // relative error of a bin's mass by its middle: at most, and usually
};

// A sure window with more logits than this is too large where a smaller one will usually do.
inline constexpr uint32_t kFewInWindow = 512;

// A window that surely or usually has the threshold, from the cluster's histograms. Masses are
// about right: exact sums will tell. weight_of(bin): of the bin's middle.
template <bool kCluster, typename WeightOf>
__device__ BinWindow FindBins(const Row<kCluster>& r, const Goal& goal, const Bracket& bracket,
                              const Reading& reading, WeightOf weight_of) {
  Shared& shared = r.shared;
  constexpr int kEach = kBins / kThreads;
  static_assert(kEach == 2);
  const int first_bin = static_cast<int>(threadIdx.x) * kEach;
  uint32_t count[kEach + 1] = {};  // of logits in bins before this one
  uint64_t mass[kEach + 1] = {};   // integers: neighbours agree on what lies between them
#pragma unroll
  for (int i = 0; i < kMaxBlocks; ++i) {
    if (i >= r.team.size) break;
    const int block = (r.team.rank + i) % r.team.size;
    const uint2 part =
        *reinterpret_cast<const uint2*>(r.team.Of(block, &shared.histogram[first_bin]));
    count[1] += part.x;
    count[2] += part.y;
  }
  for (int i = 1; i <= kEach; ++i) {
    mass[i] = mass[i - 1] + count[i] * static_cast<uint64_t>(weight_of(first_bin + i - 1));
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
  uint64_t mass_before = mass_through - mass[kEach], total_mass = 0;
  for (int warp = 0; warp < kWarps; ++warp) {
    if (warp == WarpIndex()) mass_before += total_mass;
    if (warp < WarpIndex()) count_before += shared.scan_count[warp];
    total_mass += shared.scan_mass[warp];
  }
  const float total = static_cast<float>(total_mass);
  for (int which = 0; which < 2; ++which) {
    const float slack = reading.slack[which];
    float least = reading.target, most = reading.target;
    if (reading.target < 0) {
      least = static_cast<float>(goal.share) * total * (1 - slack);
      most = static_cast<float>(goal.share) * (total * (1 + slack) + reading.behind);
    }
    const auto reached = [&](int i, float factor, float target) {
      const float found = static_cast<float>(mass_before + mass[i]) * factor;
      return (goal.count > 0 && bracket.above_count + count_before + count[i] >= goal.count) ||
             (goal.share > 0 && static_cast<float>(bracket.above_mass) + found >= target);
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
  const BinWindow sure = shared.windows[0];
  return sure.through - sure.before <= kFewInWindow ? sure : shared.windows[1];
}

// What rounding may add to the error of a histogram's masses.
inline constexpr float kRounding = 1e-5f;

// Weight of a logit that is so many powers of two below the largest one.
__device__ inline float WeightAbout(float binary_places) {
  return exp2f(static_cast<float>(kWeightBits) - binary_places);
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
  ForMine(r, [&](float logit, int) {
    const uint32_t bin =
        __float_as_uint(__fmaf_rn(rates.max - logit, per_unit, kRounder)) - kRounderBits;
    if (bin < kBins) atomicAdd(&r.shared.histogram[bin], 1u);
  });
  r.team.Sync();
  const float unit = 1 / per_unit;
  const float surely = 0.36f * unit * rates.filter + kRounding;
  const auto weight_at = [&](float distance) { return WeightAbout(distance * rates.filter); };
  const float behind = static_cast<float>(r.params.vocab) * weight_at(range);
  const BinWindow bins =
      FindBins(r, goal, all, {static_cast<float>(target), behind, {surely, surely / 8}},
               [&](int bin) { return weight_at(static_cast<float>(bin) * unit); });
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

// Bins of equal numbers of floats in `bracket`. The window is smaller than it, and in the end has
// one float.
template <bool kCluster>
__device__ Window NarrowWindow(const Row<kCluster>& r, const Rates& rates, const Goal& goal,
                               const Bracket& bracket, double target) {
  const uint32_t high = KeyOf(bracket.high), low = KeyOf(bracket.low);
  const int shift = max(0, 32 - __clz(static_cast<int>(high - low)) - 10);
  static_assert(kBins == 1 << 10);
  // A bin's width is at most that of its largest floats.
  const float largest = fmaxf(fabsf(bracket.low), fabsf(bracket.high));
  const float width = shift == 0 ? 0.0f : ldexpf(largest, shift - 23);
  const float slack = 0.36f * width * rates.filter + kRounding;
  r.team.Sync();
  ClearSearch(r.shared);
  __syncthreads();
  if (goal.share > 0 && slack > 0.1f) return UpperHalf(bracket);
  ForMine(r, [&](float logit, int) {
    if (logit < bracket.low || logit > bracket.high) return;
    atomicAdd(&r.shared.histogram[(high - KeyOf(logit)) >> shift], 1u);
  });
  r.team.Sync();
  const auto middle = [&](int bin) {
    const uint32_t below = static_cast<uint32_t>(((bin + 0.5f) * (1u << shift)));
    return OfKey(high - min(shift == 0 ? static_cast<uint32_t>(bin) : below, high - low));
  };
  BinWindow bins =
      FindBins(r, goal, bracket, {static_cast<float>(target), 0, {slack, slack / 8}},
               [&](int bin) { return WeightAbout((rates.max - middle(bin)) * rates.filter); });
  if (bins.first == kBins) return UpperHalf(bracket);
  bins.last = min(bins.last, bins.first + kBins / 4 - 1);
  const uint32_t to_high = min(static_cast<uint32_t>(bins.first) << shift, high - low);
  const uint64_t to_low = (static_cast<uint64_t>(bins.last + 1) << shift) - 1;
  if (to_high == 0 && to_low >= high - low) return UpperHalf(bracket);  // narrower each time
  return {OfKey(high - static_cast<uint32_t>(min(to_low, static_cast<uint64_t>(high - low)))),
          OfKey(high - to_high)};
}

// `whole`: what goal.share is a share of; 0 stands for the row's mass. The search must be clear.
// Where the result says that some are listed, what lies above them is collected as kept; otherwise
// nothing useful is.
template <bool kCluster>
__device__ Threshold FindThreshold(const Row<kCluster>& r, const Rates& rates, const Goal& goal,
                                   float floor, float min, uint64_t whole) {
  Bracket bracket = {-FLT_MAX, rates.max, 0, 0};
  const auto target = [&] { return whole == 0 ? -1.0 : goal.share * static_cast<double>(whole); };
  Window window = GuessWindow(r, rates, goal, bracket, min, target());
  Threshold threshold = {-INFINITY, 0, false};
  while (true) {
    const Sums sums = Collect<true>(r, rates, window, floor);
    if (whole == 0) whole = sums.total_mass;
    if (goal.Reached(sums.above_count, sums.above_mass, target())) {
      bracket.low = Above(window.high);
    } else {
      const uint32_t through = sums.above_count + sums.in_window;
      const uint64_t mass_through = sums.above_mass + sums.window_mass;
      threshold.mass = mass_through;
      if (goal.Reached(through, mass_through, target())) {
        bracket = {window.low, window.high, sums.above_count, sums.above_mass};
        if (sums.listed) {
          threshold.listed = FindListed(r, rates, goal, target(), &bracket, &threshold);
          if (threshold.listed) return threshold;
        } else if (window.low == window.high) {
          threshold.logit = window.low;
          return threshold;
        }
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
