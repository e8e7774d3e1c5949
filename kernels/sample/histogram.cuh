// Where about a threshold lies: a row's logits counted in bins of equal width, and what the counts
// say. Exact sums (collect.cuh) tell whether that is right.
#pragma once

#include "kernels/sample/block.cuh"
#include "kernels/sample/weight.h"

namespace skein::sampling {

// Bin 0 has the largest logits. What lies beyond either end is in the outermost bin.
struct LogitBins {
  float origin, range;  // the middles of the bins go from `origin` down to origin - range

  __device__ float width() const { return range / (kBins - 1); }
  __device__ float Middle(int bin) const { return origin - static_cast<float>(bin) * width(); }
  // The address in shared memory where a histogram that begins at `begin` counts such logits.
  __device__ uint32_t Place(uint32_t begin, float logit) const {
    namespace w = weight_internal;
    float place;  // from 0 to 1
    asm("fma.rn.sat.f32 %0, %1, %2, %3;"
        : "=f"(place)
        : "f"(logit), "f"(-1 / range), "f"(origin / range));
    const float bin = __fmaf_rn(place, kBins - 1, w::kRounder);
    return w::Bits(bin) * sizeof(uint32_t) +
           (begin - w::kRounderBits * static_cast<uint32_t>(sizeof(uint32_t)));
  }
};

// What the logits of most models need, so that they can be counted before the largest is known.
__device__ constexpr LogitBins kUsualBins = {16, 24};

// Whether those bins are fine enough, and reach far enough down from the row's largest logit.
__device__ inline bool SuitUsualBins(float max, float rate) {
  return max <= kUsualBins.origin && max >= kUsualBins.origin - 16 && rate <= 4 * WeightRate(1);
}

__device__ inline void ClearHistogram(Shared& shared) {
  for (int bin = static_cast<int>(threadIdx.x); bin < kBins; bin += kThreads) {
    shared.histogram[bin] = 0;
  }
}

__device__ __forceinline__ void CountFour(Shared& shared, const LogitBins& bins,
                                          const float4& four) {
  const auto begin = static_cast<uint32_t>(__cvta_generic_to_shared(&shared.histogram[0]));
  const float logits[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
  for (const float logit : logits) {
    asm volatile("red.shared.add.u32 [%0], 1;" ::"r"(bins.Place(begin, logit)));
  }
}

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
  float target;    // mass to reach, negative where the whole is not known
  float slack[2];  // relative error of a bin's mass by its middle: at most, and usually
};

// A sure window with more logits than this is too large where a smaller one will usually do.
inline constexpr uint32_t kFewInWindow = 512;

// Some of a thread's bins, one behind the other, and what lies before them.
template <int kNum>
struct BinRun {
  int first;
  uint32_t count[kNum] = {};
  uint64_t mass[kNum];
  uint32_t count_before;
  uint64_t mass_before;

  __device__ explicit BinRun(int first) : first(first) {}
  // count_before and mass_before get what lies in the run.
  template <typename WeightOf>
  __device__ void Weigh(WeightOf weight_of) {
    count_before = 0;
    mass_before = 0;
#pragma unroll
    for (int i = 0; i < kNum; ++i) {
      mass[i] = count[i] * weight_of(first + i);
      count_before += count[i];
      mass_before += mass[i];
    }
  }
};

// Leaves behind where the run reaches `mass` or `count`, if it does first. Neighbours agree on what
// lies between them: sums are integers.
template <int kNum>
__device__ void FindCrossing(const BinRun<kNum>& run, float mass, uint32_t count,
                             Crossing* crossing) {
  uint32_t count_through = run.count_before;
  uint64_t mass_through = run.mass_before;
#pragma unroll
  for (int i = 0; i < kNum; ++i) {
    count_through += run.count[i];
    mass_through += run.mass[i];
  }
  const auto reached = [&](uint32_t of_count, uint64_t of_mass) {
    return of_count >= count || static_cast<float>(of_mass) >= mass;
  };
  if (!reached(count_through, mass_through)) return;
  if (run.first > 0 && reached(run.count_before, run.mass_before)) return;
#pragma unroll
  for (int i = kNum - 1; i >= 0; --i) {
    const uint32_t count_before = count_through - run.count[i];
    mass_through -= run.mass[i];
    if (i == 0 || !reached(count_before, mass_through)) {
      *crossing = {run.first + i, count_before, count_through};
      return;
    }
    count_through = count_before;
  }
}

// Adds up the histograms of the row's blocks.
template <bool kCluster>
__device__ void SumHistograms(const Row<kCluster>& r, BinRun<4>* upper, BinRun<2>* lower) {
  constexpr int kAtOnce = 2;  // blocks
#pragma unroll 1
  for (int i = 0; i < r.team.size; i += kAtOnce) {
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      if (i + j >= r.team.size) continue;
      const int block = (r.team.rank + i + j) & (r.team.size - 1);
      const uint32_t* histogram = r.team.Of(block, &r.shared.histogram[0]);
      const uint4 four = *reinterpret_cast<const uint4*>(histogram + upper->first);
      const uint2 two = *reinterpret_cast<const uint2*>(histogram + lower->first);
      upper->count[0] += four.x;
      upper->count[1] += four.y;
      upper->count[2] += four.z;
      upper->count[3] += four.w;
      lower->count[0] += two.x;
      lower->count[1] += two.y;
    }
  }
}

// From what lies in the runs of each thread to what lies before them. Returns the mass of all bins.
template <bool kCluster>
__device__ uint64_t ScanRuns(const Row<kCluster>& r, BinRun<4>* upper, BinRun<2>* lower) {
  Shared& shared = r.shared;
  const uint32_t counts[2] = {WarpScan(upper->count_before), WarpScan(lower->count_before)};
  const uint64_t masses[2] = {WarpScan(upper->mass_before), WarpScan(lower->mass_before)};
  if (Lane() == kWarp - 1) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      shared.scan_count[i * kWarps + WarpIndex()] = counts[i];
      shared.scan_mass[i * kWarps + WarpIndex()] = masses[i];
    }
  }
  __syncthreads();
  // Lane i has what warp i has left of the upper bins, the lanes behind them that of the lower
  // ones.
  const uint32_t count = Lane() < 2 * kWarps ? shared.scan_count[Lane()] : 0;
  const uint64_t mass = Lane() < 2 * kWarps ? shared.scan_mass[Lane()] : 0;
  const uint32_t count_before = WarpScan(count) - count;
  const uint64_t mass_through = WarpScan(mass);
  const int mine = WarpIndex();
  upper->count_before = counts[0] - upper->count_before + __shfl_sync(~0u, count_before, mine);
  lower->count_before =
      counts[1] - lower->count_before + __shfl_sync(~0u, count_before, kWarps + mine);
  upper->mass_before = masses[0] - upper->mass_before + __shfl_sync(~0u, mass_through - mass, mine);
  lower->mass_before =
      masses[1] - lower->mass_before + __shfl_sync(~0u, mass_through - mass, kWarps + mine);
  return __shfl_sync(~0u, mass_through, kWarp - 1);
}

// A window that surely or usually has the threshold, from the cluster's histograms. Masses are
// about right: exact sums will tell. weight_of(bin): of its middle.
template <bool kCluster, typename WeightOf>
__device__ BinWindow FindBins(const Row<kCluster>& r, const Goal& goal, const Bracket& bracket,
                              const Reading& reading, WeightOf weight_of) {
  Shared& shared = r.shared;
  const int thread = static_cast<int>(threadIdx.x);
  BinRun<4> upper(4 * thread);
  BinRun<2> lower(kUpperBins + 2 * thread);
  SumHistograms(r, &upper, &lower);
  upper.Weigh(weight_of);
  lower.Weigh(weight_of);
  if (thread < kNumCrossings) shared.crossings[thread] = {kBins, ~0u >> 1, ~0u >> 1};
  if (thread == kThreads - 1) shared.last_bin_mass = lower.mass[1];
  const uint64_t total = ScanRuns(r, &upper, &lower);
  // What lies in the last bin may weigh less than its middle, down to nothing.
  const float most_total = static_cast<float>(total);
  const float least_total = static_cast<float>(total - shared.last_bin_mass);
  const float share = static_cast<float>(goal.share);
  const float above = static_cast<float>(bracket.above_mass);
  const uint32_t count = goal.count > bracket.above_count ? goal.count - bracket.above_count : 1;
  // Surely not before the first, surely not behind the second; the same for usually.
#pragma unroll 1
  for (int i = 0; i < kNumCrossings; ++i) {
    const float slack = reading.slack[i / 2] * (i % 2 == 0 ? 1 : -1);
    float mass = reading.target;
    if (mass < 0) mass = share * (i % 2 == 0 ? least_total : most_total) * (1 - slack);
    mass = goal.share > 0 && slack > -1 ? (mass - above) / (1 + slack) : INFINITY;
    FindCrossing(upper, mass, goal.count > 0 ? count : ~0u, &shared.crossings[i]);
    FindCrossing(lower, mass, goal.count > 0 ? count : ~0u, &shared.crossings[i]);
  }
  __syncthreads();
  const auto window = [&](int i) {
    const Crossing &first = shared.crossings[i], &last = shared.crossings[i + 1];
    return BinWindow{first.bin, last.bin, first.before, last.through};
  };
  const BinWindow sure = window(0);
  return sure.through - sure.before <= kFewInWindow ? sure : window(2);
}

}  // namespace skein::sampling
