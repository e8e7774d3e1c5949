// Extents of a tensor, slowest dimension first.
#pragma once

#include <cstdint>
#include <string>

#include "absl/container/inlined_vector.h"

namespace skein {

using Shape = absl::InlinedVector<int64_t, 4>;

// Product of the extents; 1 for an empty shape. Extents must be non-negative and the product must
// fit.
int64_t NumElements(const Shape& shape);
std::string ShapeString(const Shape& shape);  // "[2, 3]"

}  // namespace skein
