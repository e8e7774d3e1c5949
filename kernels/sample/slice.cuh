// Steps 1 to 5 of docs/sampling.md on a slice: it is read, edited, and its largest logit found.
#pragma once

#include "kernels/sample/block.cuh"
#include "kernels/sample/weight.h"

namespace skein::sampling {

// Of the logits that a thread holds, later of the whole row.
struct Extent {
  float max, min;
};

// Four logits from `token` on, of which those beyond the vocabulary are minus infinity.
__device__ inline float4 ReadFour(const float* logits, int token, int vocab, bool aligned) {
  if (aligned && token + 3 < vocab) return *reinterpret_cast<const float4*>(logits + token);
  const auto read = [&](int i) { return i < vocab ? logits[i] : -INFINITY; };
  return {read(token), read(token + 1), read(token + 2), read(token + 3)};
}

// Every thread reads what it works on afterwards; others see it after a barrier. Zeros become
// positive, so that equal logits have equal bits.
template <bool kCluster>
__device__ Extent LoadSlice(const Row<kCluster>& r) {
  const float* logits = r.logits();
  const int vocab = r.params.vocab, chunk = r.params.chunk;
  const bool aligned = vocab % 4 == 0 && reinterpret_cast<uintptr_t>(logits) % 16 == 0;
  const int first = WarpIndex() * chunk + Lane() * 4;
  Extent extent = {-INFINITY, INFINITY};
#pragma unroll 8
  for (int i = first; i < (WarpIndex() + 1) * chunk; i += kStride) {
    float4 four = ReadFour(logits, r.begin + i, vocab, aligned);
    four = {four.x + 0.0f, four.y + 0.0f, four.z + 0.0f, four.w + 0.0f};
    extent.max = MaxOrNan(extent.max, MaxOrNan(MaxOrNan(four.x, four.y), MaxOrNan(four.z, four.w)));
    extent.min = fminf(extent.min, fminf(fminf(four.x, four.y), fminf(four.z, four.w)));
    *reinterpret_cast<float4*>(r.slice + i) = four;
  }
  return extent;
}

template <bool kCluster>
__device__ float SliceMax(const Row<kCluster>& r) {
  float max = -INFINITY;
  ForMine(r.slice, r.params.chunk, [&](float logit, int) { max = MaxOrNan(max, logit); });
  return max;
}

// Calls f(entry, logit) for the entries of the row's list whose tokens lie in the slice.
template <bool kCluster, typename Entry, typename TokenOf, typename F>
__device__ void ForListed(const Row<kCluster>& r, const int32_t* begin, const Entry* entries,
                          TokenOf token_of, F f) {
  if (begin == nullptr) return;
  const int end = begin[r.index + 1];
  if (begin[r.index] == end) return;
  for (int i = begin[r.index] + static_cast<int>(threadIdx.x); i < end; i += kThreads) {
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
  const auto listed = [&](const int32_t* begin) {
    return begin != nullptr && begin[r.index] != begin[r.index + 1];
  };
  return r.row.mask >= 0 || listed(r.params.penalty_begin) || listed(r.params.bias_begin) ||
         listed(r.params.banned_begin);
}

// Between two barriers.
template <bool kCluster>
__device__ void EditSlice(const Row<kCluster>& r) {
  const Params& p = r.params;
  const auto token_of = [](const auto& entry) { return entry.token; };
  ForListed(r, p.penalty_begin, p.penalties, token_of,
            [&](const PenaltyEntry& entry, float& x) { x = Penalised(r.row, entry, x); });
  ForListed(r, p.bias_begin, p.biases, token_of,
            [](const BiasEntry& entry, float& x) { x = __fadd_rn(x, entry.bias) + 0.0f; });
  ForListed(
      r, p.banned_begin, p.banned, [](int32_t token) { return token; },
      [](int32_t, float& x) { x = -INFINITY; });
  if (r.row.mask < 0) return;
  const int words = (p.vocab + 31) / 32;
  const uint32_t* mask = p.masks + static_cast<int64_t>(r.row.mask) * words;
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
  ForMine(r.slice, r.params.chunk, [&](float logit, int) { sum += Weight(logit, max, rate); });
  sum = WarpReduce(sum, SumOf());
  if (Lane() == 0) r.shared.partial[kRaw][WarpIndex()] = sum;
  r.team.Sync();
  return ReduceExchanged(r.team, r.shared.partial[kRaw], uint64_t{0}, SumOf());
}

}  // namespace skein::sampling
