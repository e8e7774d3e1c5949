// Steps 1 to 5 of docs/sampling.md on a slice: it is read, edited, and its largest logit found.
#pragma once

#include "kernels/sample/block.cuh"
#include "kernels/sample/weight.h"

namespace skein::sampling {

// Of the logits that a thread holds, later of the whole row.
struct Extent {
  float max, min;
};

// What the block needs besides logits, into its shared memory; to be used after a barrier. Nothing
// of it is written by kernels.
__device__ inline void LoadRow(const Params& p, int index, Shared& shared) {
  const int thread = static_cast<int>(threadIdx.x);
  constexpr int kRowWords = sizeof(SampleRow) / sizeof(uint32_t);
  static_assert(kRowWords <= kWarp);
  if (thread < kRowWords) {
    reinterpret_cast<uint32_t*>(&shared.row)[thread] =
        reinterpret_cast<const uint32_t*>(p.rows + index)[thread];
  } else if (thread == kWarp) {
    shared.logits_row = p.logits_row == nullptr ? index : p.logits_row[index];
  } else if (thread >= 2 * kWarp && thread < 2 * kWarp + kNumLists) {
    const int list = thread - 2 * kWarp;
    const int32_t* begin = list == kPenalties ? p.penalty_begin
                           : list == kBiases  ? p.bias_begin
                                              : p.banned_begin;
    shared.list_begin[list] = begin == nullptr ? 0 : begin[index];
    shared.list_end[list] = begin == nullptr ? 0 : begin[index + 1];
  }
}

// Before a search: histograms and lists are empty. Other blocks must be done with them.
__device__ inline void ClearSearch(Shared& shared) {
  const int thread = static_cast<int>(threadIdx.x);
  for (int bin = thread; bin < kBins; bin += kThreads) shared.histogram[bin] = 0;
  for (int bin = thread; bin < kFineBins; bin += kThreads) {
    shared.fine.count[bin] = shared.fine.low[bin] = shared.fine.high[bin] = 0;
  }
  if (thread < kWarps) shared.kept_low[thread] = shared.kept_high[thread] = 0;
  if (thread == 0) {
    shared.num_listed = shared.num_picked = shared.threshold_key = shared.highest_key = 0;
    shared.lowest_key = ~0u;
  }
}

// Every thread reads what it works on afterwards; others see it after a barrier. Zeros become
// positive, so that equal logits have equal bits.
template <bool kAligned, bool kCluster>
__device__ Extent LoadSliceOf(const Row<kCluster>& r, const float* logits) {
  constexpr int kAtOnce = 8;  // reads under way
  const int vocab = r.params.vocab, chunk = r.params.chunk;
  const int end = (WarpIndex() + 1) * chunk;
  float max = -INFINITY, min = INFINITY;
  for (int first = WarpIndex() * chunk; first < end; first += kAtOnce * kStride) {
    float4 fours[kAtOnce];
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      const int i = first + j * kStride + Lane() * 4, token = r.begin + i;
      fours[j] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
      if (i >= end) continue;
      if (kAligned) {
        if (token < vocab) fours[j] = __ldcs(reinterpret_cast<const float4*>(logits + token));
      } else {
        if (token < vocab) fours[j].x = logits[token];
        if (token + 1 < vocab) fours[j].y = logits[token + 1];
        if (token + 2 < vocab) fours[j].z = logits[token + 2];
        if (token + 3 < vocab) fours[j].w = logits[token + 3];
      }
    }
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      const int i = first + j * kStride + Lane() * 4;
      if (i >= end) continue;
      const float4 four = {fours[j].x + 0.0f, fours[j].y + 0.0f, fours[j].z + 0.0f,
                           fours[j].w + 0.0f};
      max = MaxOrNan(max, MaxOrNan(MaxOrNan(four.x, four.y), MaxOrNan(four.z, four.w)));
      min = fminf(min, fminf(fminf(four.x, four.y), fminf(four.z, four.w)));
      *reinterpret_cast<float4*>(r.slice + i) = four;
    }
  }
  return {max, min};
}

template <bool kCluster>
__device__ Extent LoadSlice(const Row<kCluster>& r) {
  const float* logits = r.logits();
  const bool aligned = r.params.vocab % 4 == 0 && reinterpret_cast<uintptr_t>(logits) % 16 == 0;
  return aligned ? LoadSliceOf<true>(r, logits) : LoadSliceOf<false>(r, logits);
}

template <bool kCluster>
__device__ float SliceMax(const Row<kCluster>& r) {
  float max = -INFINITY;
  ForMine(r, [&](float logit, int) { max = MaxOrNan(max, logit); });
  return max;
}

// Calls f(entry, logit) for the entries of the row's list whose tokens lie in the slice.
template <bool kCluster, typename Entry, typename TokenOf, typename F>
__device__ void ForListed(const Row<kCluster>& r, List list, const Entry* entries, TokenOf token_of,
                          F f) {
  const int begin = r.shared.list_begin[list], end = r.shared.list_end[list];
  if (begin == end) return;
  for (int i = begin + static_cast<int>(threadIdx.x); i < end; i += kThreads) {
    const unsigned at = static_cast<unsigned>(token_of(entries[i]) - r.begin);
    if (at < static_cast<unsigned>(r.slice_size())) f(entries[i], r.slice[at]);
  }
  __syncthreads();
}

__device__ inline float Penalised(const SampleRow& row, const PenaltyEntry& entry, float logit) {
  if (!isfinite(logit)) return logit;
  const auto bounded = [](float x) { return x > FLT_MAX ? FLT_MAX : x; };
  // Rounded step by step, as the CPU does.
  if (entry.repeated) {
    logit = bounded(logit > 0 ? __fdiv_rn(logit, row.repetition_penalty)
                              : __fmul_rn(logit, row.repetition_penalty));
  }
  if (entry.counted) {
    const float frequency = __fmul_rn(row.frequency_penalty, entry.count);
    logit = bounded(__fsub_rn(logit, __fadd_rn(row.presence_penalty, frequency)));
  }
  return logit + 0.0f;
}

// True if something in the row's lists or its mask may change the slice.
template <bool kCluster>
__device__ bool HasEdits(const Row<kCluster>& r) {
  bool has = r.row().mask >= 0;
  for (int list = 0; list < kNumLists; ++list) {
    has |= r.shared.list_begin[list] != r.shared.list_end[list];
  }
  return has;
}

// Between two barriers.
template <bool kCluster>
__device__ void EditSlice(const Row<kCluster>& r) {
  const Params& p = r.params;
  const SampleRow& row = r.row();
  const auto token_of = [](const auto& entry) { return entry.token; };
  ForListed(r, kPenalties, p.penalties, token_of,
            [&](const PenaltyEntry& entry, float& x) { x = Penalised(row, entry, x); });
  ForListed(r, kBiases, p.biases, token_of,
            [](const BiasEntry& entry, float& x) { x = __fadd_rn(x, entry.bias) + 0.0f; });
  ForListed(
      r, kBanned, p.banned, [](int32_t token) { return token; },
      [](int32_t, float& x) { x = -INFINITY; });
  if (row.mask < 0) return;
  const int words = (p.vocab + 31) / 32;
  const uint32_t* mask = p.masks + static_cast<int64_t>(row.mask) * words;
  const int first = WarpIndex() * p.chunk + Lane() * 4;
  for (int i = first; i < (WarpIndex() + 1) * p.chunk && r.begin + i < p.vocab; i += kStride) {
    const uint32_t allowed = mask[(r.begin + i) / 32] >> (i % 32);
    if ((allowed & 15) == 15) continue;
    for (int j = 0; j < 4; ++j) {
      if (((allowed >> j) & 1) == 0) r.slice[i + j] = -INFINITY;
    }
  }
}

// Weight of the row's logits at this rate, in all threads; for the log-probabilities of the model's
// own distribution.
template <bool kCluster>
__device__ uint64_t RowWeight(const Row<kCluster>& r, float max, float rate) {
  uint64_t sum = 0;
  ForMine(r, [&](float logit, int) { sum += Weight(logit, max, rate); });
  Publish<SumOf>(r, r.shared.raw_weight, sum);
  r.team.Sync();
  return Combine<SumOf>(r, r.shared.raw_weight);
}

}  // namespace skein::sampling
