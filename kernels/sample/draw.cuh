// Steps 9 and 10 of docs/sampling.md: the draw from what was kept, and the likeliest tokens.
#pragma once

#include "kernels/sample/collect.cuh"
#include "kernels/sample/philox.h"

namespace skein::sampling {

// The first logit of the warp's chunk at which the running sum of kept weights exceeds `target`;
// `running` is the sum before the chunk, and the chunk exceeds. Index in the slice, for all lanes.
template <bool kCluster>
__device__ int FindInChunk(const Row<kCluster>& r, const Rates& rates, float cut, uint64_t running,
                           double target) {
  const int begin = WarpIndex() * r.params.chunk;
  for (int i = begin; i < begin + r.params.chunk; i += kStride) {
    const float4 four = *reinterpret_cast<const float4*>(r.slice + i + Lane() * 4);
    const auto weight = [&](float logit) {
      return logit >= cut ? Weight(logit, rates.max, rates.kept) : 0;
    };
    uint64_t sum[4] = {weight(four.x), weight(four.y), weight(four.z), weight(four.w)};
    for (int j = 1; j < 4; ++j) sum[j] += sum[j - 1];
    const uint64_t through = running + WarpScan(sum[3]);
    const unsigned exceeds = __ballot_sync(~0u, static_cast<double>(through) > target);
    if (exceeds == 0) {
      running = __shfl_sync(~0u, through, kWarp - 1);
      continue;
    }
    const int lane = __ffs(static_cast<int>(exceeds)) - 1;
    int at = 0;
    while (at < 3 && static_cast<double>(through - sum[3] + sum[at]) <= target) ++at;
    return __shfl_sync(~0u, i + Lane() * 4 + at, lane);
  }
  return begin;
}

// Splits the kept weight of the merged candidates over blocks and warps, and adds it there.
template <bool kCluster>
__device__ void KeepCandidates(const Row<kCluster>& r, const Rates& rates, float cut) {
  Shared& shared = r.shared;
  using Atomic = unsigned long long;
  for (uint32_t i = threadIdx.x; i < shared.candidates_before[kMaxBlocks]; i += kThreads) {
    if (shared.merged.logit[i] < cut) continue;
    atomicAdd(reinterpret_cast<Atomic*>(&shared.kept_of_block[shared.merged.block[i]]),
              static_cast<Atomic>(shared.merged.kept[i]));
  }
  for (uint32_t i = threadIdx.x; i < shared.num_candidates; i += kThreads) {
    const Candidate candidate = shared.candidates[i];
    if (candidate.logit < cut) continue;
    atomicAdd(reinterpret_cast<Atomic*>(&shared.kept_of_warp[candidate.index / r.params.chunk]),
              static_cast<Atomic>(Weight(candidate.logit, rates.max, rates.kept)));
  }
}

// What a draw hands to whoever reports it.
struct Drawn {
  int at = -1;         // index in the slice, in the one warp of the one block that has it; else -1
  uint64_t total = 0;  // weight of all that was kept
};

// From the logits of at least `cut`. `candidates`: merged ones are not yet among the kept sums.
template <bool kCluster>
__device__ Drawn Draw(const Row<kCluster>& r, const Rates& rates, float cut, bool candidates) {
  Shared& shared = r.shared;
  if (threadIdx.x < kWarps) {
    shared.kept_of_warp[threadIdx.x] = shared.partial[kKept][threadIdx.x];
  }
  __syncthreads();
  if (candidates) {
    KeepCandidates(r, rates, cut);
    __syncthreads();
  }
  Drawn drawn;
  uint64_t before = 0;  // in earlier blocks, then also in earlier warps
  for (int block = 0; block < r.team.size; ++block) {
    if (block < r.team.rank) before += shared.kept_of_block[block];
    drawn.total += shared.kept_of_block[block];
  }
  const double target =
      DrawUniform(r.row.seed, r.row.step, r.row.choice) * static_cast<double>(drawn.total);
  for (int warp = 0; warp < WarpIndex(); ++warp) before += shared.kept_of_warp[warp];
  const uint64_t through = before + shared.kept_of_warp[WarpIndex()];
  if (static_cast<double>(before) <= target && static_cast<double>(through) > target) {
    drawn.at = FindInChunk(r, rates, cut, before, target);
  }
  return drawn;
}

// The `count` logits of the row that rank first, in rank 0's merged_top: 64-bit integers that sort
// by rank, made by rank_of(logit, token). Zero where the vocabulary is smaller.
template <bool kCluster, typename RankOf>
__device__ void FindTop(const Row<kCluster>& r, int count, RankOf rank_of) {
  Shared& shared = r.shared;
  const auto best_below = [&](uint64_t limit) {
    uint64_t best = 0;
    ForMine(r.slice, r.params.chunk, [&](float logit, int i) {
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
