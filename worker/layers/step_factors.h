// Factors of the WKV output in a pass, as the layers ask for them. CPU only.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/models/model.h"

namespace skein {

class StepFactors {
 public:
  // [sequences] of [H N] each, null for 1; empty if no sequence has any. Valid until the next call.
  std::span<const float* const> At(const ModelBatch& batch, int64_t layer);

 private:
  std::vector<const float*> factors_;
};

}  // namespace skein
