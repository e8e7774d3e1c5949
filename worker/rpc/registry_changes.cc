#include "worker/rpc/registry_changes.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "worker/engine/model_adapters.h"

namespace skein {
namespace {

constexpr size_t kMaxWaiting = 256;

}  // namespace

RegistryTarget TargetOf(ModelHost& host, ServedModel& model) {
  return {model.profile.name, *model.registry,
          [&host, &model](const std::string& path, TunedStateLayout layout) {
            absl::StatusOr<TunedState> state =
                LoadTunedState(path, layout, model.loop->model(), model.loop->state_layout(),
                               model.device->stream());
            host.CountStateLoad(state.status());
            return state;
          },
          [&host, &model](const std::string& path, const AdapterOptions& options) {
            absl::StatusOr<LoadedAdapter> adapter = LoadAdapterFor(model, path, options);
            host.CountAdapterLoad(adapter.status());
            return adapter;
          }};
}

RegistryChanges::RegistryChanges(ModelHost& host, RegistryKeeper& keeper)
    : host_(host), keeper_(keeper), queue_(kMaxWaiting), thread_([this] {
        while (const std::optional<std::function<void()>> change = queue_.WaitPop()) (*change)();
      }) {}

RegistryChanges::~RegistryChanges() {
  queue_.Close();
  thread_.join();
}

void RegistryChanges::Post(std::string model, Change change, Done done) {
  const auto shared_done = std::make_shared<const Done>(std::move(done));
  std::function<void()> job = [this, shared_done, model = std::move(model),
                               change = std::move(change)] { (*shared_done)(Make(model, change)); };
  if (queue_.TryPush(std::move(job))) return;
  (*shared_done)(absl::ResourceExhaustedError(
      absl::StrCat(kMaxWaiting, " changes of the registry wait already, try again later")));
}

absl::Status RegistryChanges::Make(const std::string& model, const Change& change) {
  ASSIGN_OR_RETURN(const std::shared_ptr<ServedModel> served, host_.Find(model));
  return served->Change([&] { return change(keeper_, TargetOf(host_, *served)); });
}

void RegistryChanges::Reload() {
  const std::string model = host_.name();
  if (!keeper_.has_manifest() || model.empty()) {
    LogInfo(
        model.empty() ? "there is no model for the manifest" : "there is no manifest to be read",
        {{"model", model}});
    return;
  }
  Post(
      model, [](RegistryKeeper& keeper, const RegistryTarget& to) { return keeper.Reload(to); },
      [name = model](const absl::Status& status) {
        if (status.ok()) {
          LogInfo("manifest read", {{"model", name}});
        } else {
          LogError("manifest refused, the registry stays as it was",
                   {{"model", name}, {"error", std::string(status.message())}});
        }
      });
}

}  // namespace skein
