#include <algorithm>

#include "common/base/check.h"
#include "kernels/linear/gemv.h"
#include "kernels/linear/gemv_call.h"
#include "kernels/linear/sparse_call.h"

namespace skein {
namespace {

using cuda::GemvCall;
using cuda::GemvProblem;

bool Aligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

bool TypeFits(DType activations, DType weights) {
  return activations == weights || activations == DType::kF32;
}

bool RowsFit(const Projection& p, const CudaContext& context) {
  return p.y.dim(0) >= 1 && p.y.dim(0) <= cuda::kMaxGemvRows && !context.batch_invariant &&
         context.num_counters >= cuda::kGemvCounters && context.compute_capability >= 90 &&
         context.compute_capability < 120 &&
         (p.weight.dtype == DType::kF16 || p.weight.dtype == DType::kBF16) &&
         TypeFits(p.y.dtype(), p.weight.dtype) && Aligned(p.weight.data);
}

// Whether the streaming kernel takes the matrices of `projections`.
bool MatricesFit(std::span<const Projection> projections, bool one_pass,
                 const CudaContext& context) {
  if (projections.empty() || projections.size() > cuda::kMaxGemvProblems) return false;
  const Projection& first = projections[0];
  for (const Projection& p : projections) {
    if (!RowsFit(p, context) || p.weight.transposed || p.weight.dtype != first.weight.dtype ||
        p.weight.cols != first.weight.cols || p.y.dim(0) != first.y.dim(0)) {
      return false;
    }
  }
  return cuda::GemvTakesInputs(first.weight.cols, one_pass);
}

bool TransposedFits(const Projection& p, const CudaContext& context) {
  return RowsFit(p, context) && p.x.dtype() == p.weight.dtype && Aligned(p.x.data()) &&
         cuda::SparseTakes(p.weight.cols, p.weight.rows);
}

GemvProblem MakeProblem(const Projection& p) {
  GemvProblem problem;
  problem.weight = p.weight.data;
  problem.bias = p.bias.data();
  problem.x = p.x.data();
  problem.y = p.y.data();
  problem.outputs = static_cast<int>(p.weight.rows);
  problem.activation = p.activation;
  problem.x_is_fp32 = p.x.dtype() == DType::kF32;
  problem.y_is_fp32 = p.y.dtype() == DType::kF32;
  problem.accumulate = p.accumulate;
  return problem;
}

GemvCall MakeCall(std::span<const Projection> projections) {
  GemvCall call;
  call.rows = static_cast<int>(projections[0].y.dim(0));
  call.inputs = static_cast<int>(projections[0].weight.cols);
  for (const Projection& p : projections) call.problems[call.num_problems++] = MakeProblem(p);
  return call;
}

void SetNorm(const NormedInput& input, GemvCall& call) {
  call.norm.x = input.x.data();
  call.norm.gather = input.rows.data();
  call.norm.weight = input.weight.data();
  call.norm.bias = input.bias.data();
  call.norm.eps = input.eps;
  if (input.shift.base == nullptr) return;
  call.norm.shift = static_cast<float*>(input.shift.base);
  call.norm.slot_stride = input.shift.slot_stride / static_cast<int64_t>(sizeof(float));
  call.norm.slots = input.slots.data();
}

}  // namespace

bool CanGemv(std::span<const Projection> projections, const CudaContext& context) {
  if (projections.size() == 1 && projections[0].weight.transposed) {
    return TransposedFits(projections[0], context);
  }
  return MatricesFit(projections, /*one_pass=*/false, context) &&
         std::all_of(projections.begin(), projections.end(), [](const Projection& p) {
           return TypeFits(p.x.dtype(), p.weight.dtype) && Aligned(p.x.data());
         });
}

absl::Status GemvProducts(std::span<const Projection> projections, CudaContext& context) {
  SKEIN_CHECK(CanGemv(projections, context));
  const DType type = projections[0].weight.dtype;
  if (!projections[0].weight.transposed) {
    return cuda::LaunchGemv(MakeCall(projections), type, context);
  }
  cuda::SparseCall call;
  call.problem = MakeProblem(projections[0]);
  call.rows = static_cast<int>(projections[0].y.dim(0));
  call.inputs = static_cast<int>(projections[0].weight.cols);
  return cuda::LaunchSparse(call, type, context);
}

bool CanGemvNormed(const NormedInput& input, std::span<const Projection> projections,
                   const CudaContext& context) {
  const bool vectors = Aligned(input.x.data()) && Aligned(input.weight.data()) &&
                       Aligned(input.bias.data()) && Aligned(input.shift.base) &&
                       input.shift.slot_stride % 16 == 0;
  return vectors && input.shift.dtype == DType::kF32 &&
         MatricesFit(projections, /*one_pass=*/true, context);
}

absl::Status GemvNormed(const NormedInput& input, std::span<const Projection> projections,
                        std::span<const TensorView<const float>> mixes, CudaContext& context) {
  SKEIN_CHECK(CanGemvNormed(input, projections, context));
  SKEIN_CHECK(mixes.size() == (input.shift.base == nullptr ? 0 : projections.size()));
  GemvCall call = MakeCall(projections);
  SetNorm(input, call);
  for (size_t i = 0; i < mixes.size(); ++i) call.problems[i].mix = mixes[i].data();
  return cuda::LaunchGemv(call, projections[0].weight.dtype, context);
}

absl::Status GemvGated(const NormedInput& input, const Projection& gate, const Projection& up,
                       CudaContext& context) {
  SKEIN_CHECK(CanGemvNormed(input, {&gate, 1}, context) &&
              CanGemvNormed(input, {&up, 1}, context) && gate.weight.dtype == up.weight.dtype &&
              gate.weight.rows == up.weight.rows && gate.weight.cols == up.weight.cols);
  GemvCall call = MakeCall({&up, 1});
  SetNorm(input, call);
  call.problems[0].gate = gate.weight.data;
  return cuda::LaunchGemv(call, up.weight.dtype, context);
}

}  // namespace skein
