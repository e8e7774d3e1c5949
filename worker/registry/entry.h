// What a worker knows by name: tuned states, mixtures of them, and adapters.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "worker/adapters/adapter_plan.h"
#include "worker/adapters/bound_adapter.h"
#include "worker/memory/initial_state.h"
#include "worker/registry/tuned_state.h"

namespace skein {

enum class EntryKind { kState, kMixture, kAdapter };
absl::string_view EntryKindName(EntryKind kind);  // "state", "mixture", "adapter"

// Sampling settings used where a request leaves them unset.
struct SamplingDefaults {
  std::optional<float> temperature;
  std::optional<float> top_p;
};

struct MixPart {
  std::string state;  // empty: zeros
  float weight = 0;
};
struct StateMix {
  std::vector<MixPart> parts;
  bool keep_sum = false;  // the weights are used as they are
};

// Never changed once it is registered.
struct RegistryEntry {
  EntryKind kind = EntryKind::kState;
  std::string name;
  SamplingDefaults defaults;
  std::vector<std::string> warnings;
  bool from_manifest = false;

  // Of a state, and of an adapter whose file has one.
  std::shared_ptr<const InitialState> state;
  TunedStateLayout layout = TunedStateLayout::kValueKey;  // that the file was read with

  // Of an adapter.
  std::shared_ptr<const BoundAdapter> adapter;
  AdapterOptions options;  // that its file was read with

  int64_t bytes = 0;  // of state and adapter, where the model computes
  std::string path;   // as a client may say it

  // Of a mixture.
  StateMix mix;
};

using EntryMap = std::map<std::string, std::shared_ptr<const RegistryEntry>, std::less<>>;

// InvalidArgument unless `name` is 1 to 128 bytes of UTF-8 that begin and end with a letter, a
// digit or a character beyond ASCII, with these, blanks and . _ - + / in between.
absl::Status CheckEntryName(absl::string_view name);

// InvalidArgument for values that sampling does not take.
absl::Status CheckDefaults(const SamplingDefaults& defaults);

}  // namespace skein
