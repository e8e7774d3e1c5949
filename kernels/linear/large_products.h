// Products of more rows than StreamedProducts is for: by Matmul where there is one, else by our
// tiles.
#pragma once

#include <span>

#include "absl/status/status.h"

#include "kernels/device/cuda_context.h"
#include "kernels/linear/linear.h"

namespace skein {

// Whether LargeProducts can run it here: 16-bit weights and rows of one type, y fp32 or of that
// type, inputs and outputs multiples of 8, all aligned to 16 bytes; and a GPU that our tiles are
// for, or a Matmul.
bool CanRunLarge(const Projection& projection, const CudaContext& context);

// All of them; every one has the same number of rows. Neighbours whose weights are stored alike run
// as one group.
absl::Status LargeProducts(std::span<const Projection> projections, CudaContext& context);

}  // namespace skein
