#include "worker/layers/buffers.h"

#include "common/base/status_macros.h"

namespace skein {

int64_t BufferPlan::bytes() const {
  int64_t bytes = 0;
  for (const auto& [elements, buffer] : wanted_) {
    bytes += static_cast<int64_t>(Arena::Rounded(elements * sizeof(float)));
  }
  return bytes;
}

absl::Status BufferPlan::Allocate(Arena& arena) {
  for (auto& [elements, buffer] : wanted_) {
    ASSIGN_OR_RETURN(void* data, arena.Allocate(elements * sizeof(float)));
    buffer->data_ = static_cast<float*>(data);
    buffer->elements_ = elements;
  }
  return absl::OkStatus();
}

}  // namespace skein
