// A batch cut where its rows need other weights than the model's own.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "worker/adapters/bound_adapter.h"
#include "worker/models/model.h"

namespace skein {

struct WeightPass {
  ModelBatch batch;
  const BoundAdapter* replacing = nullptr;  // whose tensors take the place of the model's; or none
};

// Sequences whose adapter replaces tensors take a pass of their own; all others between two such
// share one. Reuses its memory.
class WeightPasses {
 public:
  // Valid until the next call, and as long as what the batch shows. Without such adapters the batch
  // itself.
  std::span<const WeightPass> Cut(const ModelBatch& batch);

 private:
  // What a part counts from its own begin.
  struct Part {
    std::vector<int32_t> row_begin, logit_rows;
    std::vector<AdapterRows> adapters;
    std::vector<SequenceFactors> factors;
  };
  void Add(const ModelBatch& batch, int64_t first, int64_t last);

  std::vector<WeightPass> passes_;
  std::vector<std::unique_ptr<Part>> parts_;  // by pass
};

}  // namespace skein
