// What a model and its sequences will take of the device's memory, before anything is taken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

#include "worker/engine/step_loop.h"
#include "worker/models/registry.h"

namespace skein {

// All in bytes.
struct MemoryPlan {
  int64_t weights = 0;
  int64_t activations = 0;
  int64_t states = 0;  // of all sequences and the zero state
  int64_t pages = 0;
  int64_t logits = 0;
  int64_t max_sequences = 0;  // that would fit if everything else stayed as it is; a number

  int64_t total() const { return weights + activations + states + pages + logits; }
  // "15.2 GiB: weights 13.6, activations 0.3, ..."
  std::string ToString() const;
};

// ResourceExhausted, with the parts and with what would fit, if the plan needs more than
// `available` bytes.
absl::StatusOr<MemoryPlan> PlanMemory(const ModelMemory& model, const EngineLimits& limits,
                                      int64_t available);

}  // namespace skein
