// Steps 1 to 5 of docs/sampling.md on a slice: it is read, edited, and its largest logit found.
#pragma once

#include "kernels/sample/histogram.cuh"
#include "kernels/sample/weights.cuh"

namespace skein::sampling {

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
  ClearHistogram(shared);
  if (thread < kWarps) shared.kept_low[thread] = shared.kept_high[thread] = 0;
  if (thread == 0) {
    shared.num_listed = shared.num_picked = shared.threshold_key = shared.highest_key = 0;
    shared.lowest_key = ~0u;
  }
}

// Copies to shared memory go past the registers. A thread sees its own once it has waited. What is
// read once makes room in the L2 cache before what is yet to be read.
__device__ inline void CopyFour(float* to, const float* from) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  uint64_t policy;
  asm("createpolicy.fractional.L2::evict_first.b64 %0;" : "=l"(policy));
  asm volatile("cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2;" ::"r"(address),
               "l"(from), "l"(policy)
               : "memory");
}
__device__ inline void CommitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until all but the last kLater groups are there.
template <int kLater>
__device__ inline void WaitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kLater) : "memory");
}

// Four logits of the row into the slice, minus infinity behind the vocabulary.
template <bool kCluster>
__device__ void LoadFour(const Row<kCluster>& r, const float* logits, bool aligned, int i) {
  const int vocab = r.params.vocab, token = r.begin + i;
  if (aligned && token < vocab) {
    if (kCluster) {
      CopyFour(r.slice + i, logits + token);
    } else {
      *reinterpret_cast<float4*>(r.slice + i) =
          __ldcs(reinterpret_cast<const float4*>(logits + token));
    }
    return;
  }
  for (int j = 0; j < 4; ++j) {
    r.slice[i + j] = token + j < vocab ? logits[token + j] : -INFINITY;
  }
}

// Reads the slice; every thread reads what it works on afterwards, and others see it after a
// barrier. Returns the largest logit of the thread. kBinned: counts its logits by kUsualBins.
template <bool kBinned, bool kCluster>
__device__ float LoadSlice(const Row<kCluster>& r) {
  constexpr int kGroup = 4, kAhead = 3;  // fours that are copied together; groups under way
  const float* logits = r.logits();
  const bool aligned = r.params.vocab % 4 == 0 && reinterpret_cast<uintptr_t>(logits) % 16 == 0;
  const int first = WarpIndex() * r.params.chunk + Lane() * 4;
  const int fours = r.params.chunk / kStride, groups = (fours + kGroup - 1) / kGroup;
  // Groups of the warp that are copied whole.
  const int in_vocab = (r.params.vocab - r.begin - WarpIndex() * r.params.chunk) / kStride;
  const int whole = kCluster && aligned ? min(fours, in_vocab) / kGroup : 0;
  const float* from = logits + r.begin + first;
  float max = -INFINITY;
#pragma unroll 1
  for (int group = 0; group < groups + kAhead; ++group) {
    const int next = first + group * kGroup * kStride;
    if (group < whole) {
#pragma unroll
      for (int k = 0; k < kGroup; ++k) {
        CopyFour(r.slice + next + k * kStride, from + (next - first) + k * kStride);
      }
    } else {
      for (int j = group * kGroup; j < min((group + 1) * kGroup, fours); ++j) {
        LoadFour(r, logits, aligned, first + j * kStride);
      }
    }
    CommitCopies();
    if (group < kAhead) continue;
    WaitForCopies<kAhead>();
#pragma unroll
    for (int k = 0; k < kGroup; ++k) {
      const int j = (group - kAhead) * kGroup + k;
      if (j >= fours) break;
      const float4 four = *reinterpret_cast<const float4*>(r.slice + first + j * kStride);
      max = MaxOrNan(max, MaxOrNan(MaxOrNan(four.x, four.y), MaxOrNan(four.z, four.w)));
      if (kBinned) CountFour(r.shared, kUsualBins, four);
    }
  }
  return max;
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
  return logit;
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
            [](const BiasEntry& entry, float& x) { x = __fadd_rn(x, entry.bias); });
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
  ForMyEights(r, [&](const float(&logits)[8]) {
    const Weights<8> weights(logits, max, rate);
#pragma unroll
    for (int j = 0; j < 8; ++j) weights.AddTo(sum, j);
  });
  Publish<SumOf>(r, r.shared.raw_weight, sum);
  r.team.Sync();
  return Combine<SumOf>(r, r.shared.raw_weight);
}

}  // namespace skein::sampling
