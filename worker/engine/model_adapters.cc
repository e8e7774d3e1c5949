#include "worker/engine/model_adapters.h"

#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/device/parallel_for.h"
#include "worker/adapters/base_tensors.h"
#include "worker/adapters/load_adapter.h"
#include "worker/registry/tuned_state.h"

namespace skein {
namespace {

absl::StatusOr<LoadedAdapter> BindTo(const ServedModel& model,
                                     const std::shared_ptr<const Adapter>& adapter) {
  LoadedAdapter loaded;
  ASSIGN_OR_RETURN(loaded.adapter, model.loop->Bind(adapter));
  loaded.bytes = loaded.adapter->bytes;
  loaded.warnings = adapter->warnings;
  if (adapter->state.empty()) return loaded;
  ASSIGN_OR_RETURN(TunedState state,
                   MakeTunedState(adapter->state, TunedStateLayout::kAutomatic, model.loop->model(),
                                  model.loop->state_layout(), model.device->stream()));
  loaded.state = std::move(state.state);
  loaded.bytes += state.bytes;
  loaded.warnings.insert(loaded.warnings.end(), state.warnings.begin(), state.warnings.end());
  return loaded;
}

}  // namespace

absl::StatusOr<LoadedAdapter> LoadAdapterFor(const ServedModel& model, const std::string& path,
                                             const AdapterOptions& options) {
  if (!model.device->stream().on_cpu()) {
    return absl::UnimplementedError("adapters run on the CPU backend alone");
  }
  if (model.files == nullptr) {
    return absl::FailedPreconditionError("adapters: this model did not come from files");
  }
  if (!model.profile.merged_adapter.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("adapters: ", model.profile.merged_adapter,
                     " is merged into the weights of this model, which takes no other; load the "
                     "model without it"));
  }
  const CheckpointTensors base(*model.files);
  ParallelFor threads(1);
  ASSIGN_OR_RETURN(Adapter adapter, LoadAdapter(path, options, base, threads));
  absl::StatusOr<LoadedAdapter> loaded =
      BindTo(model, std::make_shared<const Adapter>(std::move(adapter)));
  if (loaded.ok()) return loaded;
  const std::string name = std::filesystem::path(path).filename().string();
  return absl::Status(loaded.status().code(),
                      absl::StrCat(name, ": ", std::string(loaded.status().message())));
}

}  // namespace skein
