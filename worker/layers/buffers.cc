#include "worker/layers/buffers.h"

#include <algorithm>

#include "common/base/status_macros.h"

namespace skein {

void BufferPlan::AddResult(int64_t cols, Buffer* buffer) {
  const int64_t rows_of_floats = std::min(max_rows_, StepTypes::kMaxRowsOfFloats);
  const int64_t bytes = std::max(rows_of_floats * DTypeBytes(DType::kF32),
                                 max_rows_ * DTypeBytes(types_.result(max_rows_)));
  wanted_.emplace_back(bytes * cols, buffer);
}

int64_t BufferPlan::bytes() const {
  int64_t bytes = 0;
  for (const auto& [size, buffer] : wanted_) bytes += static_cast<int64_t>(Arena::Rounded(size));
  return bytes;
}

absl::Status BufferPlan::Allocate(Arena& arena) {
  for (auto& [size, buffer] : wanted_) {
    ASSIGN_OR_RETURN(buffer->data_, arena.Allocate(size));
    buffer->bytes_ = size;
  }
  return absl::OkStatus();
}

}  // namespace skein
