#include <algorithm>
#include <cstdint>

#include "common/base/status_macros.h"
#include "kernels/cuda/launch.h"
#include "kernels/sample/draw.cuh"
#include "kernels/sample/sample.h"
#include "kernels/sample/sample_shape.h"
#include "kernels/sample/slice.cuh"
#include "kernels/sample/threshold.cuh"

namespace skein {
namespace sampling {
namespace {

// Natural logarithms of the model's own probabilities.
struct RawLogprobs {
  float max;
  double log_total;

  __device__ float Of(float logit) const {
    const double logprob = static_cast<double>(logit) - max - log_total;
    return isinf(logprob) ? kCutLogprob : static_cast<float>(logprob);
  }
};

// Of the whole row, in all threads.
template <bool kCluster>
__device__ float RowMax(const Row<kCluster>& r, float mine) {
  Publish<MaxOf>(r, r.shared.max, KeyOf(mine));
  r.team.Sync();
  return OfKey(Combine<MaxOf>(r, r.shared.max));
}

// The first token with the largest logit, in all threads.
template <bool kCluster>
__device__ uint32_t FirstOf(const Row<kCluster>& r, float max) {
  uint32_t first = ~0u;
  ForMine(r, [&](float logit, int i) {
    if (logit == max) first = min(first, static_cast<uint32_t>(r.begin + i));
  });
  Publish<MinOf>(r, r.shared.first, first);
  r.team.Sync();
  return Combine<MinOf>(r, r.shared.first);
}

// What is left to report once a token is drawn.
struct Result {
  SampleOutcome outcome;
  bool mine;  // this thread has the token
  int token;
  float logprob;
  bool arrived = false;  // at the barrier that ends the row
};

template <bool kCluster>
__device__ Result Finish(const Row<kCluster>& r, SampleOutcome outcome) {
  return {outcome, r.team.rank == 0 && threadIdx.x == 0, -1, 0};
}

template <bool kCluster>
__device__ Result SampleGreedy(const Row<kCluster>& r, float max) {
  const int token = static_cast<int>(FirstOf(r, max));
  if (r.row().processed && r.row().num_top > 0) {
    FindTop(r, r.row().num_top,
            [&](float logit, int at) { return RankOf(logit, at, at == token); });
    WriteTop(r, r.row().num_top, [](float) { return 0.0f; });
  }
  return {SampleOutcome::kOk, r.team.rank == 0 && threadIdx.x == 0, token, 0};
}

__device__ bool IsGreedy(const SampleRow& row) {
  return row.temperature < 1e-5f || row.top_k == 1 || row.top_p <= 0;
}

// What top-k and top-p ask for, without min-p.
__device__ Goal GoalOf(const SampleRow& row, int vocab) {
  return {row.top_k > 0 && row.top_k < vocab ? row.top_k : 0u, row.top_p < 1 ? row.top_p : 0.0};
}

// The lowest logit that the filters leave, with everything above it collected but for what is
// listed. `counted`: as for FindThreshold.
template <bool kCluster>
__device__ float Filter(const Row<kCluster>& r, const Rates& rates, float z_scale, bool counted,
                        bool* listed) {
  const SampleRow& row = r.row();
  float floor = -INFINITY;
  if (row.min_p > 0) {
    floor = static_cast<float>(rates.max + log(static_cast<double>(row.min_p)) / z_scale);
  }
  const Goal goal = GoalOf(row, r.params.vocab);
  const bool one_by_one = goal.count > 0 && goal.share > 0 && row.order == SamplingOrder::kHf;
  Threshold threshold = {-INFINITY, 0, false};
  for (int pass = one_by_one ? 0 : 1; pass < 2 && (goal.count > 0 || goal.share > 0); ++pass) {
    if (pass == 1 && one_by_one) {
      r.team.Sync();
      ClearSearch(r.shared);
      __syncthreads();
    }
    const Goal part = {goal.count, pass == 0 ? 0 : goal.share};
    threshold = FindThreshold(r, rates, part, floor, threshold.mass, counted);
    counted = false;
  }
  *listed = threshold.listed;
  const float cut = fmaxf(threshold.logit, floor);
  if (!threshold.listed) {
    r.team.Sync();  // others may read what was collected before
    CollectKept(r, rates, cut == -INFINITY ? -INFINITY : Below(cut), floor);
  }
  return cut;
}

template <bool kCluster>
__device__ Result SampleFromKept(const Row<kCluster>& r, float max, bool counted) {
  const SampleRow& row = r.row();
  const float scale = 1 / row.temperature;
  const float z_scale = row.order == SamplingOrder::kHf ? scale : 1.0f;
  const Rates rates = {max, WeightRate(z_scale), WeightRate(scale)};
  bool listed;
  const float cut = Filter(r, rates, z_scale, counted, &listed);
  // Nothing of other blocks is read any more, so that none has to wait for the draw.
  const bool arrives = !row.processed || row.num_top == 0;
  if (arrives) r.team.Arrive();
  const Drawn drawn = Draw(r, rates, cut, listed);
  Result result = {SampleOutcome::kOk, drawn.at >= 0, r.begin + drawn.at, 0, arrives};
  if (!row.processed) return result;
  const double log_total = log(static_cast<double>(drawn.total) * kWeightUnit);
  const auto logprob_of = [&](float logit) {
    const double logprob = (static_cast<double>(logit) - max) * scale - log_total;
    return logit == -INFINITY ? kCutLogprob : static_cast<float>(logprob);
  };
  if (result.mine) result.logprob = logprob_of(r.slice[drawn.at]);
  if (row.num_top > 0) {
    __syncthreads();
    FindTop(r, row.num_top,
            [&](float logit, int token) { return RankOf(logit, token, logit >= cut); });
    WriteTop(r, row.num_top, logprob_of);
  }
  return result;
}

// The model's own probabilities; false if the logits are not finite.
template <bool kCluster>
__device__ bool TakeRaw(const Row<kCluster>& r, float mine, RawLogprobs* raw) {
  const float max = RowMax(r, mine);
  if (!isfinite(max)) return false;
  const uint64_t total = RowWeight(r, max, WeightRate(1.0f));
  *raw = {max, log(static_cast<double>(total) * kWeightUnit)};
  if (r.row().num_top > 0) {
    FindTop(r, r.row().num_top, [](float logit, int token) { return RankOf(logit, token, true); });
    WriteTop(r, r.row().num_top, [&](float logit) { return raw->Of(logit); });
    __syncthreads();
    ClearSearch(r.shared);
  }
  return true;
}

template <bool kCluster>
__device__ Result SampleRowOf(const Row<kCluster>& r) {
  const SampleRow& row = r.row();
  const bool wants_raw =
      row.given_token >= 0 || ((row.logprob || row.num_top > 0) && !row.processed);
  const Goal goal = GoalOf(row, r.params.vocab);
  const bool filters = row.given_token < 0 && !IsGreedy(row) && (goal.count > 0 || goal.share > 0);
  // Counted while they arrive, where nothing changes them and nothing else needs the memory.
  const bool counted = filters && !HasEdits(r) && (row.num_top == 0 || !wants_raw);
  float max = counted ? LoadSlice<true>(r) : LoadSlice<false>(r);
  r.team.Wait();  // until the other blocks have begun
  RawLogprobs raw = {};
  if (wants_raw && !TakeRaw(r, max, &raw)) return Finish(r, SampleOutcome::kNotFinite);
  if (row.given_token >= 0) {
    Result result = Finish(r, SampleOutcome::kOk);
    result.token = row.given_token;
    if (result.mine) result.logprob = raw.Of(r.logits()[row.given_token]);
    return result;
  }
  if (HasEdits(r)) {
    __syncthreads();
    EditSlice(r);
    __syncthreads();
    max = SliceMax(r);
  }
  max = RowMax(r, max);
  if (isnan(max) || max == INFINITY) return Finish(r, SampleOutcome::kNotFinite);
  if (max == -INFINITY) return Finish(r, SampleOutcome::kNothingAllowed);
  Result result = IsGreedy(row) ? SampleGreedy(r, max) : SampleFromKept(r, max, counted);
  if (wants_raw && result.mine) result.logprob = raw.Of(r.logits()[result.token]);
  return result;
}

// The block's part of one row, after LoadRow, ClearSearch and an Arrive. Returns whether it has
// arrived at the barrier that ends the row.
template <bool kCluster>
__device__ bool SampleOne(const Params& p, int index, float* slice, Shared& shared) {
  const SampleRow& row = shared.row;
  Row<kCluster> r = {p, index, Team<kCluster>(), shared, slice, 0};
  if (row.padding) {
    r.team.Wait();
    return false;
  }
  r.begin = r.team.rank * r.slice_size();
  const Result result = SampleRowOf(r);
  if (result.mine) {
    p.outcomes[index] = result.outcome;
    if (result.outcome == SampleOutcome::kOk) {
      p.tokens[index] = result.token;
      if (row.logprob || row.given_token >= 0) p.logprobs[index] = result.logprob;
    }
  }
  return result.arrived;
}

// A cluster per row.
__global__ void __launch_bounds__(kThreads, 3) SampleClusterKernel(const Params p) {
  extern __shared__ __align__(16) unsigned char memory[];
  Shared& shared = *reinterpret_cast<Shared*>(memory);
  float* slice = reinterpret_cast<float*>(memory + sizeof(Shared));
  const Team<true> team;
  const int index = static_cast<int>(blockIdx.x) / team.size;
  LoadRow(p, index, shared);
  ClearSearch(shared);
  team.Arrive();
  __syncthreads();
  cuda::DependencyWait();
  const bool arrived = SampleOne<true>(p, index, slice, shared);
  cuda::ReleaseDependents();
  if (!arrived) team.Arrive();
  team.Wait();  // no block's shared memory goes while another may read it
}

// A block takes row after row.
__global__ void __launch_bounds__(kThreads, 3) SampleBlockKernel(const Params p) {
  __shared__ Shared shared;
  float* slice = p.global_slices + static_cast<int64_t>(blockIdx.x) * kWarps * p.chunk;
  cuda::DependencyWait();
  for (int index = blockIdx.x; index < p.num_rows; index += gridDim.x) {
    LoadRow(p, index, shared);
    ClearSearch(shared);
    __syncthreads();
    SampleOne<false>(p, index, slice, shared);
    __syncthreads();
  }
}

Params ParamsOf(const SampleArgs& args) {
  Params p = {};
  p.logits = args.logits.data();
  p.logits_row = args.logits_row.data();
  p.rows = args.rows.data();
  p.penalty_begin = args.penalties.empty() ? nullptr : args.penalty_begin.data();
  p.penalties = args.penalties.data();
  p.bias_begin = args.biases.empty() ? nullptr : args.bias_begin.data();
  p.biases = args.biases.data();
  p.banned_begin = args.banned.empty() ? nullptr : args.banned_begin.data();
  p.banned = args.banned.data();
  p.masks = args.masks.data();
  p.tokens = args.tokens.data();
  p.outcomes = args.outcomes.data();
  p.logprobs = args.logprobs.data();
  p.top_tokens = args.top_tokens.data();
  p.top_logprobs = args.top_logprobs.data();
  p.num_rows = static_cast<int>(args.num_rows());
  p.vocab = static_cast<int>(args.vocab());
  return p;
}

}  // namespace
}  // namespace sampling

absl::Status LaunchSample(const SampleArgs& args, const SampleShape& shape, CudaContext& context) {
  using namespace sampling;
  Params params = ParamsOf(args);
  params.chunk = static_cast<int>(shape.chunk);
  const size_t slice_bytes = static_cast<size_t>(shape.chunk) * kWarps * sizeof(float);
  if (shape.blocks > 0) {
    return cuda::Launch(context, "sample", SampleClusterKernel,
                        {.grid = static_cast<unsigned>(params.num_rows * shape.blocks),
                         .block = kThreads,
                         .shared_bytes = sizeof(Shared) + slice_bytes,
                         .cluster_size = static_cast<unsigned>(shape.blocks)},
                        params);
  }
  const size_t slices = std::min<size_t>(params.num_rows, context.workspace_bytes / slice_bytes);
  if (slices == 0) {
    return absl::InternalError(absl::StrCat("sample: a workspace of ", context.workspace_bytes,
                                            " bytes, expected at least ", slice_bytes));
  }
  params.global_slices = static_cast<float*>(context.workspace);
  return cuda::Launch(context, "sample", SampleBlockKernel,
                      {.grid = static_cast<unsigned>(slices), .block = kThreads}, params);
}

absl::Status SampleCuda(const SampleArgs& args, CudaContext& context) {
  if (args.num_rows() == 0) return absl::OkStatus();
  return LaunchSample(args, PickSampleShape(args.num_rows(), args.vocab(), context), context);
}

}  // namespace skein
