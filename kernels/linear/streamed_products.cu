#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/cuda/launch.h"
#include "kernels/linear/streamed_kernel.cuh"
#include "kernels/linear/streamed_products.h"
#include "kernels/linear/tensor_map.cuh"

namespace skein {
namespace {

using streamed::Params;
using streamed::Problem;
using streamed::Shape;

// Shared memory of a block: so much that none of its kernel finds room beside it. Blocks have equal
// shares of the weights, and two on a multiprocessor take twice as long while another one, where a
// block of the kernel ahead had not ended in time, stands idle.
constexpr int kLeastShared = 115 * 1024;
constexpr int kMostShared = 200 * 1024;  // leaves some to the small kernels between products
constexpr int kFewestStages = 4;

bool Aligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

int CeilDiv(int64_t a, int b) { return static_cast<int>((a + b - 1) / b); }

int PaddedRows(int64_t rows) {
  for (const int padded : {8, 16, 24, 32, 48}) {
    if (rows <= padded) return padded;
  }
  return kMaxStreamedRows;
}

absl::Status MakeProblem(const Projection& p, int padded_rows, Problem& problem) {
  const WeightMatrix& w = p.weight;
  RETURN_IF_ERROR(
      w.transposed
          ? cuda::EncodeMap(w.data, w.cols, w.rows, streamed::kStepInputs, problem.weight)
          : cuda::EncodeMap(w.data, w.rows, w.cols, streamed::kTileOutputs, problem.weight));
  RETURN_IF_ERROR(cuda::EncodeMap(p.x.data(), p.x.dim(0), w.cols, padded_rows, problem.x));
  problem.bias = p.bias.data();
  problem.y = cuda::ElementsOf(p.y);
  problem.accumulate = p.accumulate;
  problem.activation = p.activation;
  problem.outputs = static_cast<int>(w.rows);
  problem.steps = CeilDiv(w.cols, streamed::kStepInputs);
  return absl::OkStatus();
}

size_t PartialBytes(int blocks, int padded_rows) {
  return static_cast<size_t>(blocks) * 2 * streamed::kTileOutputs * padded_rows * sizeof(float);
}

// A ring no longer than a block's steps.
template <typename S>
absl::Status LaunchShape(Params& params, int blocks, const CudaContext& context) {
  constexpr int kEmpty = S::SharedBytes(0);
  constexpr int kMostStages = (kMostShared - kEmpty) / (S::SharedBytes(1) - kEmpty);
  int most_steps = 0;
  for (int b = 0; b < blocks; ++b) {
    most_steps = std::max(most_steps, params.begin[b + 1] - params.begin[b]);
  }
  params.stages = std::clamp(most_steps, kFewestStages, kMostStages);
  const auto bytes = static_cast<size_t>(std::max(kLeastShared, S::SharedBytes(params.stages)));
  return cuda::Launch(context, "streamed_products", streamed::StreamedKernel<S>,
                      {dim3(blocks), dim3(streamed::kThreads), bytes}, params);
}

template <typename Half, bool kAcross>
absl::Status LaunchFor(int padded_rows, Params& params, int blocks, const CudaContext& context) {
  switch (padded_rows) {
    case 8:
      return LaunchShape<Shape<Half, 8, kAcross>>(params, blocks, context);
    case 16:
      return LaunchShape<Shape<Half, 16, kAcross>>(params, blocks, context);
    case 24:
      return LaunchShape<Shape<Half, 24, kAcross>>(params, blocks, context);
    case 32:
      return LaunchShape<Shape<Half, 32, kAcross>>(params, blocks, context);
    case 48:
      return LaunchShape<Shape<Half, 48, kAcross>>(params, blocks, context);
    default:
      return LaunchShape<Shape<Half, kMaxStreamedRows, kAcross>>(params, blocks, context);
  }
}

absl::Status Launch(const WeightMatrix& kind, int padded_rows, Params& params, int blocks,
                    const CudaContext& context) {
  if (kind.dtype == DType::kF16) {
    return kind.transposed ? LaunchFor<__half, true>(padded_rows, params, blocks, context)
                           : LaunchFor<__half, false>(padded_rows, params, blocks, context);
  }
  return kind.transposed ? LaunchFor<__nv_bfloat16, true>(padded_rows, params, blocks, context)
                         : LaunchFor<__nv_bfloat16, false>(padded_rows, params, blocks, context);
}

absl::Status CheckRoom(int blocks, int padded_rows, const CudaContext& context) {
  const size_t bytes = PartialBytes(blocks, padded_rows);
  const int counters = blocks * streamed::kGroups + 1;
  if (bytes <= context.workspace_bytes && counters <= context.num_counters) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat("streamed_products: ", context.workspace_bytes,
                                          " bytes of workspace and ", context.num_counters,
                                          " counters, expected ", bytes, " and ", counters));
}

// Up to kMaxProblems projections of one type and storage.
absl::Status RunGroup(std::span<const Projection> group, const streamed::ShiftedRows& shifted,
                      CudaContext& context) {
  const int64_t rows = group[0].x.dim(0);
  const int padded_rows = PaddedRows(rows);
  Params params = {};
  StepGroup sizes[streamed::kMaxProblems];
  int64_t steps = 0;
  for (const Projection& p : group) {
    Problem& problem = params.problems[params.count];
    RETURN_IF_ERROR(MakeProblem(p, padded_rows, problem));
    problem.first_step = static_cast<int>(steps);
    StepGroup& size = sizes[params.count++];
    size = {CeilDiv(p.weight.rows, streamed::kTileOutputs), problem.steps};
    steps += size.tiles * size.steps;
  }
  const StepPlan plan = PlanSteps({sizes, group.size()}, context.sm_count);
  RETURN_IF_ERROR(CheckRoom(plan.blocks, padded_rows, context));
  std::copy(std::begin(plan.begin), std::end(plan.begin), params.begin);
  params.rows = static_cast<int>(rows);
  params.partials = static_cast<float4*>(context.workspace);
  params.counters = context.counters;
  params.shifted = shifted;
  return Launch(group[0].weight, padded_rows, params, plan.blocks, context);
}

bool Together(const Projection& a, const Projection& b) {
  return a.weight.dtype == b.weight.dtype && a.weight.transposed == b.weight.transposed;
}

// The first launch makes the shifted rows, if there are any.
absl::Status RunGroups(std::span<const Projection> projections, streamed::ShiftedRows shifted,
                       CudaContext& context) {
  while (!projections.empty()) {
    size_t count = 1;
    while (count < projections.size() && count < streamed::kMaxProblems &&
           Together(projections[0], projections[count])) {
      ++count;
    }
    RETURN_IF_ERROR(RunGroup(projections.first(count), shifted, context));
    projections = projections.subspan(count);
    shifted = {};
  }
  return absl::OkStatus();
}

bool CanShift(const TokenShift& shift) {
  const int64_t width = shift.x.dim(1);
  return shift.sequences.is_decode() && width % cuda::kColumns == 0 &&
         width <= streamed::kMaxShiftedWidth && Aligned(shift.x.data()) &&
         Aligned(shift.norm_weight.data()) && Aligned(shift.norm_bias.data()) &&
         Aligned(shift.shift.base) && shift.shift.slot_stride % 16 == 0;
}

}  // namespace

bool CanStream(const Projection& p, const CudaContext& context) {
  const WeightMatrix& w = p.weight;
  const bool halves = (w.dtype == DType::kF16 || w.dtype == DType::kBF16) && p.x.dtype() == w.dtype;
  const bool lines = w.cols % 8 == 0 && (!w.transposed || w.rows % 8 == 0);
  const bool outputs = p.y.dtype() == DType::kF32 || (w.rows % 2 == 0 && Aligned(p.y.data()));
  return context.compute_capability == 90 && p.x.dim(0) <= kMaxStreamedRows && halves && lines &&
         outputs && Aligned(w.data) && Aligned(p.x.data());
}

absl::Status StreamedProducts(std::span<const Projection> projections, CudaContext& context) {
  return RunGroups(projections, {}, context);
}

bool CanStreamShifted(const TokenShift& shift, std::span<const ShiftedInput> inputs,
                      std::span<const Projection> projections, const CudaContext& context) {
  if (projections.empty() || !CanShift(shift)) return false;
  if (inputs.empty() || inputs.size() > streamed::kMaxShifted) return false;
  const DType type = projections[0].weight.dtype;
  const bool streams = std::ranges::all_of(projections, [&](const Projection& p) {
    return CanStream(p, context) && p.weight.dtype == type;
  });
  return streams && std::ranges::all_of(inputs, [&](const ShiftedInput& input) {
           return input.out.dtype() == type && Aligned(input.mix.data()) &&
                  Aligned(input.out.data());
         });
}

absl::Status StreamShifted(const TokenShift& shift, std::span<const ShiftedInput> inputs,
                           std::span<const Projection> projections, CudaContext& context) {
  streamed::ShiftedRows rows = {};
  rows.x = shift.x.data();
  rows.weight = shift.norm_weight.data();
  rows.bias = shift.norm_bias.data();
  rows.slots = shift.sequences.slots.data();
  rows.state = static_cast<char*>(shift.shift.base);
  rows.slot_stride = shift.shift.slot_stride;
  rows.eps = shift.eps;
  rows.rows = static_cast<int>(shift.x.dim(0));
  rows.width = static_cast<int>(shift.x.dim(1));
  if (rows.rows == 0) return absl::OkStatus();
  for (const ShiftedInput& input : inputs) {
    rows.mix[rows.count] = input.mix.data();
    rows.out[rows.count++] = input.out.data();
  }
  return RunGroups(projections, rows, context);
}

size_t StreamedWorkspaceBytes(int sm_count) {
  return PartialBytes(std::min(sm_count, kMaxStepBlocks), kMaxStreamedRows);
}

int64_t StreamedCounters(int sm_count) {
  return static_cast<int64_t>(std::min(sm_count, kMaxStepBlocks)) * streamed::kGroups + 1;
}

}  // namespace skein
