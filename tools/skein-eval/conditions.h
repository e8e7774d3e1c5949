// What a model is run with besides its own weights: --state, --mixture and --adapter.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "kernels/device/stream.h"
#include "tools/skeinctl/options.h"
#include "worker/adapters/applied_adapters.h"
#include "worker/memory/initial_state.h"
#include "worker/models/model.h"
#include "worker/registry/tuned_state.h"
#include "worker/weights/model_files.h"

namespace skein::eval {

struct Conditions {
  struct State {
    std::string path;  // empty: zeros
    TunedStateLayout layout = TunedStateLayout::kAutomatic;
    float weight = 1;  // divided by the sum of all
  };
  struct AdapterFile {
    std::string path;
    std::optional<float> scaling;  // where the file does not say
  };
  std::vector<State> states;  // none: zeros, or what an adapter brings
  std::vector<AdapterFile> adapters;
};
// --state, --mixture, --adapter; the last one may come several times.
std::vector<ctl::Option> ConditionOptionTable(Conditions& out);

struct LoadedConditions {
  struct Branch {
    std::shared_ptr<const InitialState> state;  // null: zeros
    float weight = 1;
  };
  std::vector<Branch> branches;  // one or more
  std::vector<AppliedAdapter> adapters;
  std::string description;  // in lines; empty for nothing
};

// For a model that was loaded from `files`. Errors as LoadTunedState, LoadAdapter, Model::Bind,
// NormaliseMix and CheckApplied have them.
absl::StatusOr<LoadedConditions> LoadConditions(const Conditions& conditions,
                                                const ModelFiles& files, const Model& model,
                                                const Stream& stream);

}  // namespace skein::eval
