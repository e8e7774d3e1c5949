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
  __device__ uint32_t Of(float logit) const {
    using weight_internal::kRounder;
    float place;  // from 0 to 1
    asm("fma.rn.sat.f32 %0, %1, %2, %3;"
        : "=f"(place)
        : "f"(logit), "f"(-1 / range), "f"(origin / range));
    return __float_as_uint(__fmaf_rn(place, kBins - 1, kRounder)) - weight_internal::kRounderBits;
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
  atomicAdd(&shared.histogram[bins.Of(four.x)], 1u);
  atomicAdd(&shared.histogram[bins.Of(four.y)], 1u);
  atomicAdd(&shared.histogram[bins.Of(four.z)], 1u);
  atomicAdd(&shared.histogram[bins.Of(four.w)], 1u);
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

// A thread's bins. [i]: of the logits in bins before its i-th.
inline constexpr int kEachBins = kBins / kThreads;
static_assert(kBins % kThreads == 0 && kEachBins % 2 == 0);
struct Prefix {
  uint32_t count[kEachBins + 1];
  uint64_t mass[kEachBins + 1];  // integers: neighbours agree on what lies between them
};

// Adds up the histograms of the row's blocks, and what lies before each bin. weight_of(bin): of its
// middle. Returns the mass of all bins.
template <bool kCluster, typename WeightOf>
__device__ uint64_t SumBins(const Row<kCluster>& r, WeightOf weight_of, Prefix* prefix) {
  constexpr int kAtOnce = 4;  // blocks
  Shared& shared = r.shared;
  const int first_bin = static_cast<int>(threadIdx.x) * kEachBins;
  uint32_t of_bin[kEachBins] = {};
  for (int i = 0; i < r.team.size; i += kAtOnce) {
    uint2 parts[kAtOnce][kEachBins / 2];
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      const int block = (r.team.rank + i + j) & (r.team.size - 1);
      const auto* from =
          reinterpret_cast<const uint2*>(r.team.Of(block, &shared.histogram[first_bin]));
#pragma unroll
      for (int k = 0; k < kEachBins / 2; ++k) {
        parts[j][k] = i + j < r.team.size ? from[k] : uint2{0, 0};
      }
    }
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
#pragma unroll
      for (int k = 0; k < kEachBins / 2; ++k) {
        of_bin[2 * k] += parts[j][k].x;
        of_bin[2 * k + 1] += parts[j][k].y;
      }
    }
  }
  prefix->count[0] = 0;
  prefix->mass[0] = 0;
#pragma unroll
  for (int i = 0; i < kEachBins; ++i) {
    const uint64_t mass = of_bin[i] > 0 ? of_bin[i] * weight_of(first_bin + i) : 0;
    prefix->count[i + 1] = prefix->count[i] + of_bin[i];
    prefix->mass[i + 1] = prefix->mass[i] + mass;
    if (first_bin + i == kBins - 1) shared.last_bin_mass = mass;
  }
  const uint32_t count_through = WarpScan(prefix->count[kEachBins]);
  const uint64_t mass_through = WarpScan(prefix->mass[kEachBins]);
  if (Lane() == kWarp - 1) {
    shared.scan_count[WarpIndex()] = count_through;
    shared.scan_mass[WarpIndex()] = mass_through;
  }
  __syncthreads();
  uint32_t count_before = count_through - prefix->count[kEachBins];
  uint64_t mass_before = mass_through - prefix->mass[kEachBins], total = 0;
#pragma unroll
  for (int warp = 0; warp < kWarps; ++warp) {
    if (warp == WarpIndex()) mass_before += total;
    if (warp < WarpIndex()) count_before += shared.scan_count[warp];
    total += shared.scan_mass[warp];
  }
#pragma unroll
  for (int i = 0; i <= kEachBins; ++i) {
    prefix->count[i] += count_before;
    prefix->mass[i] += mass_before;
  }
  return total;
}

// A window that surely or usually has the threshold, from the cluster's histograms. Masses are
// about right: exact sums will tell.
template <bool kCluster, typename WeightOf>
__device__ BinWindow FindBins(const Row<kCluster>& r, const Goal& goal, const Bracket& bracket,
                              const Reading& reading, WeightOf weight_of) {
  Shared& shared = r.shared;
  if (threadIdx.x < 2) shared.windows[threadIdx.x] = {kBins, kBins, ~0u >> 1, ~0u >> 1};
  Prefix prefix;
  const uint64_t total = SumBins(r, weight_of, &prefix);
  const int first_bin = static_cast<int>(threadIdx.x) * kEachBins;
  // What lies in the last bin may weigh less than its middle, down to nothing.
  const float most_total = static_cast<float>(total);
  const float least_total = static_cast<float>(total - shared.last_bin_mass);
  const float share = static_cast<float>(goal.share);
#pragma unroll
  for (int which = 0; which < 2; ++which) {
    const float slack = reading.slack[which];
    float least = reading.target, most = reading.target;
    if (reading.target < 0) {
      least = share * least_total * (1 - slack);
      most = share * most_total * (1 + slack);
    }
    const auto reached = [&](int i, float factor, float target) {
      const float found = static_cast<float>(prefix.mass[i]) * factor;
      return (goal.count > 0 && bracket.above_count + prefix.count[i] >= goal.count) ||
             (goal.share > 0 && static_cast<float>(bracket.above_mass) + found >= target);
    };
    BinWindow& window = shared.windows[which];
    bool may_before = reached(0, 1 + slack, least), must_before = reached(0, 1 - slack, most);
#pragma unroll
    for (int i = 1; i <= kEachBins; ++i) {
      const bool may = reached(i, 1 + slack, least), must = reached(i, 1 - slack, most);
      if (may && (!may_before || first_bin + i == 1)) {
        window.first = first_bin + i - 1;
        window.before = prefix.count[i - 1];
      }
      if (must && (!must_before || first_bin + i == 1)) {
        window.last = first_bin + i - 1;
        window.through = prefix.count[i];
      }
      may_before = may;
      must_before = must;
    }
  }
  __syncthreads();
  const BinWindow sure = shared.windows[0];
  return sure.through - sure.before <= kFewInWindow ? sure : shared.windows[1];
}

}  // namespace skein::sampling
