// What a request must meet before the step loop takes it, and its preparation.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "common/text/tokenizer.h"
#include "worker/engine/sequence.h"
#include "worker/engine/step_loop.h"

namespace skein {

// InvalidArgument, naming the field, for limits that cannot work.
absl::Status CheckLimits(const EngineLimits& limits);

// InvalidArgument for values that would read or write outside the model's tables.
absl::Status CheckRequest(const GenerationRequest& request, int64_t vocab_size);

// What there is for one request that has the worker to itself.
struct RequestCapacity {
  int slots = 0;
  int branches = 0;    // in a step
  int64_t tokens = 0;  // that the pages hold, of each of the request's branches
};
// InvalidArgument for a request that would not fit even then.
absl::Status CheckFits(const GenerationRequest& request, const RequestCapacity& capacity);

// A bit for each id below `vocab_size` that a token has; empty if all have one, or without a
// tokenizer.
std::vector<uint32_t> VocabularyMask(const Tokenizer* tokenizer, int64_t vocab_size);

// Everything about the request that does not change while it runs.
std::unique_ptr<ActiveRequest> Activate(GenerationRequest request,
                                        const std::vector<uint32_t>& vocabulary, int64_t vocab_size,
                                        absl::Time now);

}  // namespace skein
