// After a product whose rows have adapters. docs/adapters.md.
#pragma once

#include <span>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/adapter/adapter_rows.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/parallel_for.h"
#include "kernels/device/stream.h"

namespace skein {

// Per row of a segment, with t from AdapterIn and y = W z, before bias and activation:
//   low rank, inputs scaled   y += s B t
//   outputs scaled            y = rho * (y + s B t)
//   input blocks              y_m += t_(m mod r)
//   input sums                y_m += (D^T t)_(m mod rows of D^T)
// Segments of a stack follow one another. Other rows are left alone. Sums are fp32; a row's bits
// depend on the row and its modules alone.
struct AdapterOutArgs {
  std::span<const AdapterSegment> segments;
  int64_t inputs = 0;             // of the product
  TensorView<const float> inner;  // t, [rows, InnerColumns or more]
  ActivationView y;               // [rows, M]; updated in place

  // InvalidArgument if a shape or a segment does not fit.
  absl::Status Validate() const;
};

// Plain loops in double precision.
void AdapterOutRef(const AdapterOutArgs& args);
void AdapterOutCpu(const AdapterOutArgs& args, ParallelFor& threads);

// Unimplemented on CUDA.
absl::Status AdapterOut(const AdapterOutArgs& args, const Stream& stream);

}  // namespace skein
