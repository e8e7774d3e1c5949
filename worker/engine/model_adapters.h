// Adapter files for a model that is served.
#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "worker/adapters/adapter_plan.h"
#include "worker/engine/model_host.h"
#include "worker/registry/keeper.h"

namespace skein {

// Reads the adapter at `path` and finds its places in the model, beside the model's steps: on the
// calling thread alone. Messages start with the file's name, without its folder. Errors as
// LoadAdapter and Model::Bind have them, and those of a tuned state that comes with it as
// MakeTunedState has them; FailedPrecondition for a model that did not come from files, or
// that has an adapter merged into it.
absl::StatusOr<LoadedAdapter> LoadAdapterFor(const ServedModel& model, const std::string& path,
                                             const AdapterOptions& options);

}  // namespace skein
