// Products whose rows may have adapters: the hooks around the one product of all rows.
// docs/adapters.md.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/adapter/adapter_rows.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/parallel_for.h"
#include "kernels/linear/linear.h"

namespace skein {

// What the adapters of a step do to one product. Modules are valid ones.
struct ProductAdapters {
  std::span<const AdapterSegment> segments;  // none: the product as it is
  // Workspace, which products of one operation may share.
  ActivationView input;     // [rows, inputs]; may be empty if no module changes its input
  TensorView<float> inner;  // [rows, InnerColumns or more]

  bool empty() const { return segments.empty(); }
  // InvalidArgument unless segments and workspace fit a product of these extents.
  absl::Status Validate(int64_t rows, int64_t inputs, int64_t outputs) const;
};

struct AdaptedProjection {
  Projection projection;
  ProductAdapters adapters;

  absl::Status Validate() const;
};

// ProjectRef with the adapters between product and bias.
void ProjectAdaptedRef(const AdaptedProjection& adapted);

// ProjectCpu and ProjectAndAddCpu, with the adapters between product and bias. Rows without an
// adapter get the same bits as there.
void ProjectAdaptedCpu(std::span<const AdaptedProjection> projections, ParallelFor& threads);
void ProjectAdaptedAndAddCpu(const AdaptedProjection& adapted, TensorView<float> residual,
                             ParallelFor& threads);

}  // namespace skein
