// The rules of ModelBatch, checked before a step.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "kernels/device/stream.h"
#include "worker/models/model.h"

namespace skein {

struct BatchLimits {
  int64_t max_rows = 0;
  int64_t vocab_size = 0;
  bool needs_pages = false;
  int64_t adapter_places = 0;  // of adapters that belong to the model
};

// InvalidArgument, naming what is wrong, unless the shapes agree and, on the CPU where they can be
// read, all indices are in range: a wrong one would be a memory error in a kernel.
absl::Status CheckBatch(const ModelBatch& batch, const BatchLimits& limits, const Stream& stream);

}  // namespace skein
