// From the tensors of a tuned state to a record of the model's state layout, in steps.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "kernels/device/arena.h"
#include "worker/memory/initial_state.h"
#include "worker/models/model.h"
#include "worker/registry/tuned_state_key.h"
#include "worker/weights/tensor_entry.h"

namespace skein {

// Points into the tensors that were sorted.
using TunedStateEntries = absl::btree_map<TunedStateKey, const NamedTensor*>;

// Keys that are not of a tuned state give a warning. InvalidArgument if two mean the same entry.
absl::StatusOr<TunedStateEntries> SortTunedState(std::span<const NamedTensor> tensors,
                                                 std::vector<std::string>& warnings);

// That the model has what the entries are for, that no entry is missing, and that offsets are none
// that nothing here computes with.
absl::Status CheckTunedState(const TunedStateEntries& entries, const ModelDescription& model,
                             const StateLayout& fields);

struct StateRecord {
  std::unique_ptr<Arena> memory;              // host memory
  std::unique_ptr<const WkvFactors> factors;  // of time offsets; null if all are zeros
  std::string content_hash;
};
// Zeros where the file has nothing. `key_value`: the file's WKV matrices are [head, key, value].
absl::StatusOr<StateRecord> BuildStateRecord(const TunedStateEntries& entries, bool key_value,
                                             const StateLayout& fields);

}  // namespace skein
