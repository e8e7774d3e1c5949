// Products of one to four rows with a matrix stored [inputs, outputs]: zeros of x skip their row of
// the matrix. Plain data, sizes already checked.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/dtype.h"
#include "kernels/device/cuda_context.h"
#include "kernels/linear/gemv_call.h"

namespace skein::cuda {

struct SparseCall {
  GemvProblem problem;  // weight is [inputs, outputs]; x in the type of the weights; no mix
  int rows = 0;
  int inputs = 0;  // a multiple of 8, as are the outputs
  // Set by the launcher: blocks that share a tile of columns, each with its own range of inputs;
  // their sums; how many of them have written theirs.
  int ranges = 1;
  int per_thread = 0;        // inputs, a multiple of 8
  float* partial = nullptr;  // [ranges, rows, outputs]
  uint32_t* arrivals = nullptr;
};

// Whether the kernel takes a matrix of this shape, with the memory that the context has.
bool SparseFits(int rows, int64_t inputs, int64_t outputs, const CudaContext& context);

// Fills in the cut of the work and what of the context's memory it needs.
absl::Status LaunchSparse(const SparseCall& call, DType weight_type, const CudaContext& context);

}  // namespace skein::cuda
