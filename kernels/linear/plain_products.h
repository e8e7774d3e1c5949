// Products without tensor cores: any size, alignment and mixture of types, on every GPU.
#pragma once

#include <span>

#include "absl/status/status.h"

#include "kernels/device/cuda_context.h"
#include "kernels/linear/linear.h"

namespace skein {

// A row's bits do not depend on the number of rows.
absl::Status PlainProducts(std::span<const Projection> projections, CudaContext& context);

}  // namespace skein
