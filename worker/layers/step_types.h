// The element types of activations.
#pragma once

#include <cstdint>

#include "common/tensor/dtype.h"

namespace skein {

// On the CPU everything is fp32. On CUDA what products read is in the type of the weights, and what
// they write is fp32 in small steps, where it costs nothing, and of that type in large ones.
struct StepTypes {
  static constexpr int64_t kMaxRowsOfFloats = 64;

  DType operand = DType::kF32;

  DType result(int64_t rows) const { return rows <= kMaxRowsOfFloats ? DType::kF32 : operand; }
};

}  // namespace skein
