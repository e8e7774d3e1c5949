// The names that requests may be conditioned with, and what they stand for right now.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "worker/registry/entry.h"

namespace skein {

struct RegistrySnapshot {
  EntryMap entries;
  uint64_t revision = 0;  // grows with each change
};

struct WeightedState {
  std::shared_ptr<const InitialState> state;  // null: zeros
  float weight = 1;
};

// A snapshot is never changed: who resolved a name keeps what it stood for, whatever becomes of the
// name. Thread-safe for any number of readers beside one writer.
class Registry {
 public:
  struct Options {
    int max_mix_states = 8;
    uint64_t first_revision = 0;
    // Called after each change, by the thread that made it, and in order. Must not call the
    // registry.
    std::function<void(const std::shared_ptr<const RegistrySnapshot>&)> on_change;
  };
  struct Resolved {
    std::vector<WeightedState> states;  // normalised, none with the weight 0
    SamplingDefaults defaults;
  };

  Registry() : Registry(Options()) {}
  explicit Registry(Options options);

  std::shared_ptr<const RegistrySnapshot> snapshot() const;
  int max_mix_states() const { return options_.max_mix_states; }

  // What a request starts from that names an entry, or mixes states itself. NotFound, with the
  // names that there are, for one that is not registered; InvalidArgument for weights as
  // NormaliseMix has it, and for a mixture where a state is wanted.
  absl::StatusOr<Resolved> Resolve(absl::string_view name) const;
  absl::StatusOr<Resolved> Resolve(const StateMix& mix) const;

  // NotFound, with the adapters that there are, for a name that is not registered; InvalidArgument
  // for one of another kind.
  absl::StatusOr<std::shared_ptr<const RegistryEntry>> ResolveAdapter(absl::string_view name) const;

  // All names at once. FailedPrecondition, with nothing changed, if a mixture names a state that is
  // not there.
  absl::Status Publish(EntryMap entries);

  // Different states and adapters that someone besides the registry holds, removed ones included.
  int NumStatesInUse() const;
  int NumAdaptersInUse() const;

 private:
  void RetireLocked(const EntryMap& before, const EntryMap& after);

  const Options options_;
  mutable std::mutex mu_;
  std::shared_ptr<const RegistrySnapshot> snapshot_;                         // guarded by mu_
  mutable std::vector<std::weak_ptr<const InitialState>> retired_;           // guarded by mu_
  mutable std::vector<std::weak_ptr<const BoundAdapter>> retired_adapters_;  // guarded by mu_
};

// FailedPrecondition, naming both, if a mixture names a state that is not among `entries`.
absl::Status CheckMixtures(const EntryMap& entries);

}  // namespace skein
