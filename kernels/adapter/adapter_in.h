// Before a product whose rows have adapters: what the product reads, and the small sums of width r
// that AdapterOut needs after it. docs/adapters.md.
#pragma once

#include <span>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/adapter/adapter_rows.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/parallel_for.h"
#include "kernels/device/stream.h"

namespace skein {

// Per row of a segment, by the form of its module:
//   low rank          t = A x
//   inputs scaled     z = x * c;  t = A z
//   outputs scaled    t = A x
//   input blocks      u_b = T_b x_b;  z = x + u;  t = sum_b u_b
//   input sums        t_j = sum of x_i with i mod r = j
// Where nothing is said of z, z = x, in rows without a segment too. In a stack z is the first
// segment's; t lies in columns [column, column + r) of `inner`. Sums are fp32; a row's bits depend
// on the row and its modules alone.
struct AdapterInArgs {
  std::span<const AdapterSegment> segments;
  int64_t outputs = 0;    // of the product
  ConstActivationView x;  // [rows, K]
  // [rows, K], apart from x; may be empty if no module changes its input, and the product reads x.
  ActivationView z;
  TensorView<float> inner;  // [rows, InnerColumns or more]; all but t is left alone

  // InvalidArgument if a shape or a segment does not fit.
  absl::Status Validate() const;
};

// Plain loops in double precision.
void AdapterInRef(const AdapterInArgs& args);
void AdapterInCpu(const AdapterInArgs& args, ParallelFor& threads);

// Unimplemented on CUDA.
absl::Status AdapterIn(const AdapterInArgs& args, const Stream& stream);

}  // namespace skein
