// A matrix of a model, in the element type that it is stored in.
#pragma once

#include <cstdint>

#include "common/tensor/dtype.h"

namespace skein {

// [rows, cols] row-major, applied as y = W x: one row per output channel. Owned by the model's
// arena and aligned to Arena::kAlignment; empty if the model has no such matrix.
struct WeightMatrix {
  const void* data = nullptr;
  DType dtype = DType::kF32;  // kF32, kBF16 or kF16
  int64_t rows = 0;           // outputs
  int64_t cols = 0;           // inputs
  bool transposed = false;    // data is [cols, rows]; on CUDA only

  bool empty() const { return data == nullptr; }
  int64_t bytes() const { return rows * cols * DTypeBytes(dtype); }
};

}  // namespace skein
