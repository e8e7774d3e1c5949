// Products of one to four rows with a matrix stored [inputs, outputs]: inputs that are zero in all
// rows skip their row of the matrix. Plain data, sizes already checked.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/dtype.h"
#include "kernels/device/cuda_context.h"
#include "kernels/linear/gemv_call.h"

namespace skein::cuda {

struct SparseCall {
  GemvProblem
      problem;  // weight is [inputs, outputs]; x in the type of the weights; no gate, no mix
  int rows = 0;
  int inputs = 0;      // a multiple of 8, as are the outputs
  int per_thread = 0;  // inputs, a multiple of 8; set by the launcher
};

// Whether the kernel takes a matrix of this shape.
bool SparseTakes(int64_t inputs, int64_t outputs);

absl::Status LaunchSparse(SparseCall call, DType weight_type, const CudaContext& context);

}  // namespace skein::cuda
