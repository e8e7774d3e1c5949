// The names that a torch checkpoint may use, and the one thing that each of them does here.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "worker/weights/pickle_values.h"

namespace skein {

// Index into the table of known globals; nullopt for any other.
std::optional<int64_t> FindPickleGlobal(absl::string_view module, absl::string_view name);

// What torch means by calling `callable` with the tuple `arguments`: an OrderedDict becomes a dict,
// the rebuilding functions a tensor. DataLoss if the callable is none of these or the arguments are
// not what it takes.
absl::StatusOr<PickleValue> ReducePickle(PickleValues& values, PickleValue callable,
                                         PickleValue arguments);

// The storage that ("storage", type, key, location, elements) stands for.
absl::StatusOr<PickleValue> LoadPersistentStorage(PickleValues& values, PickleValue id);

}  // namespace skein
