// The weights of a mixture of states.
#pragma once

#include <vector>

#include "absl/status/statusor.h"

#include "worker/registry/entry.h"

namespace skein {

// The parts that have an influence, with the weights that their logits are multiplied by: divided
// by their sum unless keep_sum says no. InvalidArgument for none, more than `max_parts`, a weight
// that is no number, all of them 0, or a sum so near to 0 that nothing can be divided by it.
absl::StatusOr<std::vector<MixPart>> NormaliseMix(const StateMix& mix, int max_parts);

}  // namespace skein
