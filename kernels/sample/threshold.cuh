// The threshold of top-k and top-p (docs/sampling.md): the largest logit v of which at least k
// logits, or at least a share of the mass, lie at or above v. A histogram says about where it lies,
// exact sums (collect.cuh) say whether that was right.
#pragma once

#include "kernels/sample/listed.cuh"

namespace skein::sampling {

// What rounding may add to the error of a histogram's masses.
inline constexpr float kRounding = 1e-5f;

// By bins of equal width: good for all but strange logits. `counted`: the histogram has the row's
// logits, by kUsualBins; else it is clear.
template <bool kCluster>
__device__ Window GuessWindow(const Row<kCluster>& r, const Rates& rates, const Goal& goal,
                              const Bracket& all, double target, bool counted) {
  constexpr float kReach = 32;  // weights farther away are below 2^-32
  LogitBins bins = kUsualBins;
  if (!counted || !SuitUsualBins(rates.max, rates.filter)) {
    bins = {rates.max, fmaxf(fminf(kUsualBins.range, kReach / rates.filter), 1e-30f)};
    if (counted) {
      ClearHistogram(r.shared);
      __syncthreads();
    }
    ForMyFours(r, [&](const float(&four)[4], int) {
      CountFour(r.shared, bins, {four[0], four[1], four[2], four[3]});
    });
    r.team.Sync();
  }
  const float surely = 0.36f * bins.width() * rates.filter + kRounding;
  const BinWindow found = FindBins(
      r, goal, all, {static_cast<float>(target), {surely, surely / 8}},
      [&](int bin) { return Weight(fminf(bins.Middle(bin), rates.max), rates.max, rates.filter); });
  // The edges of bins lie at halves; rounding is far below a hundredth.
  const auto edge = [&](float bin) { return bins.origin - bin * bins.width(); };
  const float high = found.first == 0 ? rates.max : edge(static_cast<float>(found.first) - 0.51f);
  const float low =
      found.last >= kBins - 1 ? -FLT_MAX : edge(static_cast<float>(found.last) + 0.51f);
  return {fmaxf(low, -FLT_MAX), fminf(fmaxf(high, -FLT_MAX), rates.max)};
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
  constexpr int kNarrowBins = 1 << 10;
  static_assert(kBins >= kNarrowBins);
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
  BinWindow bins = FindBins(r, goal, bracket, {static_cast<float>(target), {slack, slack / 8}},
                            [&](int bin) { return Weight(middle(bin), rates.max, rates.filter); });
  if (bins.first == kBins) return UpperHalf(bracket);
  bins.last = min(bins.last, bins.first + kNarrowBins / 4 - 1);
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
                                   float floor, uint64_t whole, bool counted) {
  Bracket bracket = {-FLT_MAX, rates.max, 0, 0};
  const auto target = [&] { return whole == 0 ? -1.0 : goal.share * static_cast<double>(whole); };
  Window window = GuessWindow(r, rates, goal, bracket, target(), counted);
  Threshold threshold = {-INFINITY, 0, false};
  while (true) {
    const Sums sums = Collect(r, rates, window, floor, goal.count > 0);
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
