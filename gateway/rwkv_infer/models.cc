#include "gateway/rwkv_infer/models.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "boost/json/array.hpp"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"

#include "common/base/status_macros.h"
#include "gateway/endpoints/admit_request.h"
#include "gateway/endpoints/call_options.h"
#include "gateway/endpoints/request_body.h"
#include "gateway/endpoints/worker_errors.h"
#include "gateway/rpc/byte_messages.h"
#include "gateway/rwkv_infer/change_run.h"
#include "gateway/rwkv_infer/load_model_body.h"
#include "gateway/rwkv_infer/state_bodies.h"
#include "skein/v1/workers.pb.h"

namespace skein {
namespace {

namespace json = boost::json;

// What is served makes room, so the caller has to be one that may use it.
absl::Status CheckServedModels(const Caller& caller, const GatewayContext& context) {
  for (const v1::ModelInfo& model : context.workers.Models()) {
    RETURN_IF_ERROR(CheckModel(caller, context, model.name()));
  }
  return absl::OkStatus();
}

absl::StatusOr<ChangeRequest> Admit(const HttpRequest& request, const Caller& caller,
                                    GatewayContext& context, std::shared_ptr<HttpResponder> out,
                                    const std::string& model) {
  request.access->Update([&model](AccessFacts& facts) { facts.model = model; });
  RETURN_IF_ERROR(CheckServedModels(caller, context));
  ASSIGN_OR_RETURN(CallOptions options, MakeCallOptions(request, context));
  ASSIGN_OR_RETURN(Admission admission, AdmitCall(caller, context, model, *out));
  return ChangeRequest{.context = context,
                       .options = std::move(options),
                       .request_id = request.request_id,
                       .admission = std::make_shared<Admission>(std::move(admission)),
                       .out = std::move(out)};
}

json::value NameJson(const std::string& id) { return {{"object", "models"}, {"id", id}}; }

// A state that a mixture has for itself is chosen with the mixture.
bool IsMember(const ModelEntry& known, const std::vector<ModelEntry>& entries) {
  return std::any_of(entries.begin(), entries.end(), [&known](const ModelEntry& other) {
    return other.entry.kind() == v1::ENTRY_KIND_MIXTURE &&
           IsMemberOf(known.entry.name(), other.entry.name());
  });
}

void AppendNames(const std::string& model, const Caller& caller, const GatewayContext& context,
                 json::array& names) {
  if (!context.access.MayUseModel(caller, model)) return;
  names.push_back(NameJson(model));
  const std::vector<ModelEntry> entries = context.workers.Entries(model);
  for (const ModelEntry& known : entries) {
    if (IsMember(known, entries)) continue;
    if (!context.access.MayUseAdapter(caller, known.entry.name())) continue;
    names.push_back(NameJson(absl::StrCat(model, " ", known.entry.name())));
  }
}

}  // namespace

absl::Status LoadModel(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                       std::shared_ptr<HttpResponder> out) {
  ASSIGN_OR_RETURN(const json::object object, ReadBody(request, context));
  ASSIGN_OR_RETURN(LoadModelBody body, ReadLoadModel(object));
  const std::string& name = body.request.name();
  ASSIGN_OR_RETURN(ChangeRequest change, Admit(request, caller, context, std::move(out), name));
  ASSIGN_OR_RETURN(std::vector<WorkerHandle> workers, context.workers.PickConnected());
  ChangePlan plan = {.workers = workers,
                     .steps = {{"/skein.v1.WorkerService/LoadModel", ToBytes(body.request)}},
                     .is_shown =
                         [&pool = context.workers, name, addresses = AddressesOf(workers)] {
                           return pool.NumServing(name, addresses) ==
                                  static_cast<int>(addresses.size());
                         },
                     .warnings = std::move(body.warnings),
                     .in_words = InWordsOfLoadModel};
  RunChange(std::move(change), std::move(plan));
  return absl::OkStatus();
}

absl::Status RemoveModel(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                         std::shared_ptr<HttpResponder> out) {
  const std::vector<v1::ModelInfo> models = context.workers.Models();
  const std::string name = models.empty() ? "" : models[0].name();
  ASSIGN_OR_RETURN(ChangeRequest change, Admit(request, caller, context, std::move(out), name));
  if (models.empty()) {
    RunChange(std::move(change), {.workers = {}, .steps = {}});
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<WorkerHandle>> workers =
      context.workers.PickAll(models.size() == 1 ? name : "");
  if (!workers.ok()) return FromPick(workers.status());
  v1::UnloadModelRequest message;
  message.set_name(name);
  ChangePlan plan = {
      .workers = *workers,
      .steps = {{"/skein.v1.WorkerService/UnloadModel", ToBytes(message)}},
      .is_shown = [&pool = context.workers, name, addresses = AddressesOf(*workers)] {
        return pool.NumServing(name, addresses) == 0;
      }};
  RunChange(std::move(change), std::move(plan));
  return absl::OkStatus();
}

absl::Status ListNames(const HttpRequest&, const Caller& caller, GatewayContext& context,
                       std::shared_ptr<HttpResponder> out) {
  json::array names;
  for (const v1::ModelInfo& model : context.workers.Models()) {
    AppendNames(model.name(), caller, context, names);
  }
  out->Send({.body = json::serialize(names), .headers = {}});
  return absl::OkStatus();
}

}  // namespace skein
