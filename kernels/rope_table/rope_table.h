// Cosines and sines of the rotary position embedding, for the rows of a step.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/device/dispatch.h"

namespace skein {

// angle[m] = positions[row] * theta^(-m / half), in double precision for the true position,
// whatever its size. The functions are our own, so that every machine gets the same bits.
struct RopeTableArgs {
  TensorView<const int32_t> positions;  // [rows]
  double theta = 1e6;                   // > 1
  TensorView<float> cosines, sines;     // [rows, half]

  // InvalidArgument if a shape disagrees or theta is not over 1.
  absl::Status Validate() const;
};

void RopeTableRef(const RopeTableArgs& args);
void RopeTableCpu(const RopeTableArgs& args, ParallelFor& threads);
absl::Status RopeTableCuda(const RopeTableArgs& args, CudaContext& context);

inline absl::Status RopeTable(const RopeTableArgs& args, const Stream& stream) {
  SKEIN_DISPATCH(RopeTable, args, stream);
}

}  // namespace skein
