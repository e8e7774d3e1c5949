#include "kernels/adapter/product_adapters.h"

#include <algorithm>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/adapter/adapter_in.h"
#include "kernels/adapter/adapter_out.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/rows.h"

namespace skein {
namespace {

bool ChangesInput(std::span<const AdapterSegment> segments) {
  return std::any_of(segments.begin(), segments.end(),
                     [](const AdapterSegment& segment) { return segment.module->changes_input(); });
}

const float* BiasOf(const Projection& projection) {
  return projection.bias.empty() ? nullptr : projection.bias.data();
}

// The three parts of an adapted product, which leave out bias and activation.
struct Parts {
  AdapterInArgs in;
  Projection bare;
  AdapterOutArgs out;
};

Parts PartsOf(const AdaptedProjection& adapted) {
  const ProductAdapters& adapters = adapted.adapters;
  const Projection& p = adapted.projection;
  Projection bare = {p.weight, {}, Activation::kNone, p.x, p.y};
  const ActivationView z = ChangesInput(adapters.segments) ? adapters.input : ActivationView();
  const AdapterInArgs in = {adapters.segments, bare.weight.rows, bare.x, z, adapters.inner};
  if (!z.empty()) bare.x = z;
  return {in, bare, {adapters.segments, bare.weight.cols, adapters.inner, bare.y}};
}

void RunBare(const AdaptedProjection& adapted, ParallelFor& threads) {
  const Parts parts = PartsOf(adapted);
  AdapterInCpu(parts.in, threads);
  ProjectCpu({&parts.bare, 1}, threads);
  AdapterOutCpu(parts.out, threads);
}

template <typename Work>
void ForRows(int64_t rows, ParallelFor& threads, Work work) {
  threads.Run(rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) work(row);
  });
}

}  // namespace

absl::Status ProductAdapters::Validate(int64_t rows, int64_t inputs, int64_t outputs) const {
  RETURN_IF_ERROR(CheckSegmentRows(segments, rows));
  for (const AdapterSegment& segment : segments) {
    const AdapterModule& module = *segment.module;
    if (module.inputs != inputs || module.outputs != outputs || !module.unmerged()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "module ", AdapterFormName(module.form), " of ", module.outputs, " outputs and ",
          module.inputs, " inputs, expected ", outputs, " and ", inputs));
    }
    const bool has_input = input.rank() == 2 && input.dim(0) == rows && input.dim(1) == inputs;
    if (module.changes_input() && !has_input) {
      return absl::InvalidArgumentError("input: missing, though a module changes its input");
    }
  }
  if (!empty() &&
      (inner.rank() != 2 || inner.dim(0) != rows || inner.dim(1) < InnerColumns(segments))) {
    return absl::InvalidArgumentError("inner: expected a column for each rank");
  }
  return absl::OkStatus();
}

absl::Status AdaptedProjection::Validate() const {
  RETURN_IF_ERROR(projection.Validate());
  return adapters.Validate(projection.x.dim(0), projection.weight.cols, projection.weight.rows);
}

void ProjectAdaptedRef(const AdaptedProjection& adapted) {
  const Projection& p = adapted.projection;
  if (adapted.adapters.empty()) return ProjectRef(p);
  const Parts parts = PartsOf(adapted);
  AdapterInRef(parts.in);
  ProjectRef(parts.bare);
  AdapterOutRef(parts.out);
  for (int64_t row = 0; row < p.x.dim(0); ++row) {
    SKEIN_ISA(FinishRow)(p.y.row(row), BiasOf(p), p.activation, p.weight.rows);
  }
}

void ProjectAdaptedCpu(std::span<const AdaptedProjection> projections, ParallelFor& threads) {
  absl::InlinedVector<Projection, 8> plain;
  for (const AdaptedProjection& adapted : projections) {
    if (adapted.adapters.empty()) plain.push_back(adapted.projection);
  }
  if (!plain.empty()) ProjectCpu(plain, threads);
  for (const AdaptedProjection& adapted : projections) {
    if (adapted.adapters.empty()) continue;
    RunBare(adapted, threads);
    const Projection& p = adapted.projection;
    if (p.bias.empty() && p.activation == Activation::kNone) continue;
    ForRows(p.x.dim(0), threads, [&](int64_t row) {
      SKEIN_ISA(FinishRow)(p.y.row(row), BiasOf(p), p.activation, p.weight.rows);
    });
  }
}

void ProjectAdaptedAndAddCpu(const AdaptedProjection& adapted, TensorView<float> residual,
                             ParallelFor& threads) {
  const Projection& p = adapted.projection;
  if (adapted.adapters.empty()) return ProjectAndAddCpu(p, residual, threads);
  RunBare(adapted, threads);
  ForRows(p.x.dim(0), threads, [&](int64_t row) {
    SKEIN_ISA(AddRow)(p.y.row(row), BiasOf(p), p.weight.rows, residual.row(row));
  });
}

}  // namespace skein
