// How much memory a model takes, and how many sequences fit beside it: known before anything is
// allocated.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

#include "common/tensor/dtype.h"
#include "tools/skein-bench/engine.h"

namespace skein::bench {

// All in bytes.
struct MemoryPlan {
  int64_t weights = 0;
  int64_t activations = 0;  // of the largest step; at most
  int64_t workspace = 0;
  int64_t per_sequence = 0;  // state, keys and values, logits

  // -1 if not even the model fits.
  int64_t SequencesIn(int64_t limit) const;
};

// On a GPU. 16-bit matrices, fp32 vectors; `size.max_rows` and `size.tokens_per_sequence` count.
MemoryPlan PlanMemory(const EngineOptions& options, const EngineSize& size);

// "weights 13.41 GiB, activations 0.65 GiB, workspace 0.38 GiB, 16.6 MiB a sequence".
std::string Describe(const MemoryPlan& plan);

// "24GiB", "512MiB". InvalidArgument for anything else.
absl::StatusOr<int64_t> ParseMemory(const std::string& text);

}  // namespace skein::bench
