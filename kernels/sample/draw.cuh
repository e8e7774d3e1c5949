// Steps 9 and 10 of docs/sampling.md: the draw from what was kept, and the likeliest tokens.
#pragma once

#include "kernels/sample/collect.cuh"
#include "kernels/sample/philox.h"

namespace skein::sampling {

// What a draw hands to whoever reports it.
struct Drawn {
  int at = -1;         // index in the slice, in the one thread of the row that has it; else -1
  uint64_t total = 0;  // weight of all that was kept
};

// Adds up the kept weight of listed logits: per block in kept_merged of the warps that have them,
// and of this block's own per chunk.
template <bool kCluster>
__device__ void KeepListed(const Row<kCluster>& r, const Rates& rates, float cut) {
  Shared& shared = r.shared;
  const auto weight_of = [&](float logit) {
    return logit >= cut ? Weight(logit, rates.max, rates.kept) : 0;
  };
  uint64_t kept = 0;
  ForMyListed(r, [&](int i, int block, int there) {
    const uint64_t weight = weight_of(shared.merged.logits[i]);
    kept += weight;
    if (block != r.team.rank || weight == 0) return;
    const int warp = shared.listed_warp[there];
    AddHalves(&shared.kept_low[warp], &shared.kept_high[warp], weight);
  });
  kept = SumOf::Warp(kept);
  if (Lane() == 0) shared.kept_merged[WarpIndex()] = kept;
}

// Index in the slice, in one thread: of the first logit at which the running sum of kept weights
// exceeds `target`. It lies in the chunk; `running` is the sum before. In all threads of a block.
template <bool kCluster>
__device__ int FindInChunk(const Row<kCluster>& r, const Rates& rates, float cut, int chunk_index,
                           uint64_t running, double target) {
  Shared& shared = r.shared;
  const int end = (chunk_index + 1) * r.params.chunk;
  for (int begin = chunk_index * r.params.chunk; begin < end; begin += kThreads * 4) {
    const int at = begin + static_cast<int>(threadIdx.x) * 4;
    uint64_t through[4] = {};
    if (at < end) {
      const float4 four = *reinterpret_cast<const float4*>(r.slice + at);
      const float logits[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        through[j] = logits[j] >= cut ? Weight(logits[j], rates.max, rates.kept) : 0;
        if (j > 0) through[j] += through[j - 1];
      }
    }
    const uint64_t of_warp = WarpScan(through[3]);
    if (Lane() == kWarp - 1) shared.scan_mass[WarpIndex()] = of_warp;
    __syncthreads();
    uint64_t before = running + of_warp - through[3];
    for (int warp = 0; warp < kWarps; ++warp) {
      if (warp < WarpIndex()) before += shared.scan_mass[warp];
      running += shared.scan_mass[warp];
    }
    const auto exceeds = [&](uint64_t sum) { return static_cast<double>(sum) > target; };
    if (!exceeds(before) && exceeds(before + through[3])) {
      int j = 0;
#pragma unroll
      for (int k = 0; k < 3; ++k) j += exceeds(before + through[k]) ? 0 : 1;
      return at + j;
    }
    if (exceeds(running)) break;
    __syncthreads();
  }
  return -1;
}

// By one warp. `listed`: listed logits are not yet among the kept sums.
template <bool kCluster>
__device__ Aim TakeAim(const Row<kCluster>& r, bool listed) {
  const Shared& shared = r.shared;
  const SampleRow& row = r.row();
  // A block per lane.
  uint64_t of_block = Lane() < r.team.size ? shared.sums[kKept][Lane()] : 0;
  if (listed && Lane() < r.team.size) {
    for (int warp = Lane(); warp < kWarps; warp += r.team.size) {
      of_block += shared.kept_merged[warp];
    }
  }
  const uint64_t through_block = WarpScan(of_block);
  const uint64_t mine = __shfl_sync(~0u, of_block, r.team.rank);
  const uint64_t before = __shfl_sync(~0u, through_block, r.team.rank) - mine;
  const uint64_t total = __shfl_sync(~0u, through_block, kWarp - 1);
  const double target = DrawUniform(row.seed, row.step, row.choice) * static_cast<double>(total);
  const auto exceeds = [&](uint64_t sum) { return static_cast<double>(sum) > target; };
  if (exceeds(before) || !exceeds(before + mine)) return {total, target, -1, 0};
  // A chunk per lane; lanes behind them have nothing.
  uint64_t of_chunk = 0;
  if (Lane() < kWarps) {
    of_chunk = shared.partial[kKept][Lane()];
    if (listed) {
      of_chunk += shared.kept_low[Lane()] | static_cast<uint64_t>(shared.kept_high[Lane()]) << 32;
    }
  }
  const uint64_t through = before + WarpScan(of_chunk);
  const int chunk = __ffs(static_cast<int>(__ballot_sync(~0u, exceeds(through)))) - 1;
  return {total, target, chunk, __shfl_sync(~0u, through - of_chunk, chunk)};
}

// From the logits of at least `cut`. `listed`: as above.
template <bool kCluster>
__device__ Drawn Draw(const Row<kCluster>& r, const Rates& rates, float cut, bool listed) {
  Shared& shared = r.shared;
  if (listed) {
    KeepListed(r, rates, cut);
    __syncthreads();
  }
  if (WarpIndex() == 0) {
    const Aim aim = TakeAim(r, listed);
    if (Lane() == 0) shared.aim = aim;
  }
  __syncthreads();
  const Aim aim = shared.aim;
  Drawn drawn = {-1, aim.total};
  if (aim.chunk < 0) return drawn;
  drawn.at = FindInChunk(r, rates, cut, aim.chunk, aim.before, aim.target);
  return drawn;
}

// The `count` logits of the row that rank first, in rank 0's merged_top: 64-bit integers that sort
// by rank, made by rank_of(logit, token). Zero where the vocabulary is smaller.
template <bool kCluster, typename RankOf>
__device__ void FindTop(const Row<kCluster>& r, int count, RankOf rank_of) {
  Shared& shared = r.shared;
  const auto best_below = [&](uint64_t limit) {
    uint64_t best = 0;
    ForMine(r, [&](float logit, int i) {
      if (r.begin + i >= r.params.vocab) return;
      const uint64_t rank = rank_of(logit, r.begin + i);
      if (rank < limit && rank > best) best = rank;
    });
    return best;
  };
  uint64_t mine = best_below(~uint64_t{0});
  for (int i = 0; i < count; ++i) {
    const uint64_t of_warp = WarpReduce(mine, LargestOf());
    if (Lane() == 0) shared.best[i % 2][WarpIndex()] = of_warp;
    __syncthreads();
    const uint64_t best = WarpReduce(shared.best[i % 2][Lane() % kWarps], LargestOf());
    if (threadIdx.x == 0) shared.top[i] = best;
    if (mine == best && best != 0) mine = best_below(best);
  }
  r.team.Sync();
  if (r.team.rank != 0) return;
  const int entries = r.team.size * count;
  for (int i = threadIdx.x; i < entries; i += kThreads) {
    shared.merged_top[i] = r.team.Of(i / count, &shared.top[0])[i % count];
  }
  __syncthreads();
}

// Tokens with larger logits rank first, then lower ones. `kept` false: behind all that are kept.
__device__ inline uint64_t RankOf(float logit, int token, bool kept) {
  return static_cast<uint64_t>(kept ? KeyOf(logit) : 0) << 32 | ~static_cast<uint32_t>(token);
}

// Writes the row's top_tokens and top_logprobs from rank 0's merged_top.
template <bool kCluster, typename LogprobOf>
__device__ void WriteTop(const Row<kCluster>& r, int count, LogprobOf logprob_of) {
  if (r.team.rank != 0) return;
  const auto& merged = r.shared.merged_top;
  const int entries = r.team.size * count;
  for (int i = threadIdx.x; i < entries; i += kThreads) {
    int place = 0;
    for (int j = 0; j < entries; ++j) place += merged[j] > merged[i] ? 1 : 0;
    if (place >= count || merged[i] == 0) continue;
    const uint32_t key = static_cast<uint32_t>(merged[i] >> 32);
    const int64_t to = static_cast<int64_t>(r.index) * kMaxTopLogprobs + place;
    r.params.top_tokens[to] = static_cast<int32_t>(~static_cast<uint32_t>(merged[i]));
    r.params.top_logprobs[to] = key == 0 ? kCutLogprob : logprob_of(OfKey(key));
  }
}

}  // namespace skein::sampling
