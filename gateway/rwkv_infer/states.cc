#include "gateway/rwkv_infer/states.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "gateway/endpoints/admit_request.h"
#include "gateway/endpoints/errors.h"
#include "gateway/endpoints/request_body.h"
#include "gateway/endpoints/resolve_model.h"
#include "gateway/rpc/byte_messages.h"
#include "gateway/rwkv_infer/change_target.h"
#include "gateway/rwkv_infer/renamed_fields.h"
#include "gateway/rwkv_infer/state_bodies.h"

namespace skein {
namespace {

constexpr char kLoadState[] = "/skein.v1.RegistryService/LoadState";
constexpr char kDefineMixture[] = "/skein.v1.RegistryService/DefineMixture";
constexpr char kRemove[] = "/skein.v1.RegistryService/Remove";

absl::Status InWordsOfState(const absl::Status& status) {
  return WithRenamedField(status, {{"path", "state_filename"}, {"name", "state_viewname"}});
}

absl::Status InWordsOfMixture(const absl::Status& status) {
  return WithRenamedField(
      status,
      {{"path", "state_filenames"}, {"name", "state_viewname"}, {"mix", "state_filenames"}});
}

ByteRequest LoadStateStep(const std::string& model, const std::string& name,
                          const std::string& path, const v1::Defaults& defaults) {
  v1::LoadStateRequest message;
  message.set_model(model);
  message.set_name(name);
  message.set_path(path);
  if (defaults.has_temperature() || defaults.has_top_p()) *message.mutable_defaults() = defaults;
  return {kLoadState, ToBytes(message)};
}

ByteRequest RemoveStep(const std::string& model, const std::string& name, v1::EntryKind kind) {
  v1::RemoveRequest message;
  message.set_model(model);
  message.set_name(name);
  message.set_kind(kind);
  return {kRemove, ToBytes(message)};
}

// Of the entries of one worker, which are those of all.
const v1::Entry* Find(const v1::ListResponse& list, const std::string& name) {
  for (const v1::Entry& entry : list.entries()) {
    if (entry.name() == name) return &entry;
  }
  return nullptr;
}

std::set<std::string> MembersOf(const v1::ListResponse& list, const std::string& mixture) {
  std::set<std::string> members;
  for (const v1::Entry& entry : list.entries()) {
    if (entry.kind() == v1::ENTRY_KIND_STATE && IsMemberOf(entry.name(), mixture)) {
      members.insert(entry.name());
    }
  }
  return members;
}

absl::StatusOr<v1::DefineMixtureRequest> MixtureOf(const StateBody& body,
                                                   const std::string& model) {
  v1::DefineMixtureRequest message;
  message.set_model(model);
  message.set_name(body.name);
  for (size_t i = 0; i < body.paths.size(); ++i) {
    message.mutable_mix()->add_states()->set_name(MemberName(body.name, i, body.paths[i]));
  }
  if (body.with_zero_state) message.mutable_mix()->add_states();
  const std::vector<float> equal(static_cast<size_t>(message.mix().states_size()), 1.0f);
  RETURN_IF_ERROR(
      Weigh("state_gatingweight", body.weights.value_or(equal), *message.mutable_mix()));
  *message.mutable_defaults() = body.defaults;
  return message;
}

// The states first, which are the mixture's own. One that the name had before goes on with its own
// states until the new one takes its place.
ChangePlan PlanOfMixture(const ChangeTarget& target, const StateBody& body,
                         const v1::DefineMixtureRequest& mixture, const v1::ListResponse& list) {
  ChangePlan plan = {.workers = target.workers,
                     .steps = {},
                     .is_shown = target.AreListed(),
                     .brings_entries = true,
                     .in_words = InWordsOfMixture};
  std::set<std::string> stale = MembersOf(list, body.name);
  for (size_t i = 0; i < body.paths.size(); ++i) {
    const std::string& member = mixture.mix().states(static_cast<int>(i)).name();
    plan.steps.push_back(LoadStateStep(target.model, member, body.paths[i], {}));
    const bool was_there = stale.erase(member) != 0;
    if (was_there) continue;
    plan.after_failure.push_back(RemoveStep(target.model, member, v1::ENTRY_KIND_STATE));
  }
  plan.steps.push_back({kDefineMixture, ToBytes(mixture)});
  for (const std::string& member : stale) {
    plan.after_success.push_back(RemoveStep(target.model, member, v1::ENTRY_KIND_STATE));
  }
  return plan;
}

absl::Status NoSuchMixture(const ChangeTarget& target, const std::string& name) {
  return WithParam(absl::NotFoundError(absl::StrCat(
                       "state_viewname: \"", target.model, "\" has no mixture \"", name,
                       "\"; /mrss_loadstatemodel makes one, GET /models "
                       "lists what there is")),
                   "state_viewname");
}

absl::StatusOr<ChangePlan> PlanOfWeights(const ChangeTarget& target, const StateBody& body,
                                         const v1::ListResponse& list) {
  const v1::Entry* const entry = Find(list, body.name);
  if (entry == nullptr) return NoSuchMixture(target, body.name);
  if (entry->kind() != v1::ENTRY_KIND_MIXTURE) {
    return FieldError("state_viewname",
                      absl::StrCat("\"", body.name, "\" is a single state, expected a mixture"));
  }
  v1::DefineMixtureRequest message;
  message.set_model(target.model);
  message.set_name(body.name);
  *message.mutable_mix() = entry->mix();
  *message.mutable_defaults() = entry->defaults();
  message.mutable_defaults()->MergeFrom(body.defaults);
  if (body.weights.has_value()) {
    RETURN_IF_ERROR(Weigh("state_gatingweight", *body.weights, *message.mutable_mix()));
  }
  return ChangePlan{.workers = target.workers,
                    .steps = {{kDefineMixture, ToBytes(message)}},
                    .is_shown = target.AreListed(),
                    .brings_entries = true,
                    .in_words = InWordsOfMixture};
}

// Mixtures before the states that they name.
ChangePlan PlanOfRemoval(const ChangeTarget& target, const v1::ListResponse& list) {
  ChangePlan plan = {.workers = target.workers, .steps = {}, .is_shown = target.AreListed()};
  for (const v1::EntryKind kind : {v1::ENTRY_KIND_MIXTURE, v1::ENTRY_KIND_STATE}) {
    for (const v1::Entry& entry : list.entries()) {
      if (entry.kind() == kind) plan.steps.push_back(RemoveStep(target.model, entry.name(), kind));
    }
  }
  return plan;
}

// What a key with a list of adapters may not use it may not remove either.
absl::Status CheckMayRemove(const Caller& caller, const GatewayContext& context,
                            const std::string& model) {
  for (const ModelEntry& known : context.workers.Entries(model)) {
    if (known.entry.kind() == v1::ENTRY_KIND_ADAPTER) continue;
    if (context.access.MayUseAdapter(caller, known.entry.name())) continue;
    return absl::PermissionDeniedError(
        absl::StrCat("this API key may not remove \"", known.entry.name(), "\", and so not all"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status LoadStateModel(const HttpRequest& request, const Caller& caller,
                            GatewayContext& context, std::shared_ptr<HttpResponder> out) {
  ASSIGN_OR_RETURN(const boost::json::object object, ReadBody(request, context));
  ASSIGN_OR_RETURN(const StateBody body, ReadLoadState(object));
  ASSIGN_OR_RETURN(TargetedChange change,
                   FindTarget(request, caller, context, std::move(out), body.model, {body.name}));
  const ChangeTarget& target = change.target;
  ChangePlan plan = {
      .workers = target.workers,
      .steps = {LoadStateStep(target.model, body.name, body.paths[0], body.defaults)},
      .is_shown = target.AreListed(),
      .brings_entries = true,
      .in_words = InWordsOfState};
  RunChange(std::move(change.request), std::move(plan));
  return absl::OkStatus();
}

absl::Status LoadMixtureModel(const HttpRequest& request, const Caller& caller,
                              GatewayContext& context, std::shared_ptr<HttpResponder> out) {
  ASSIGN_OR_RETURN(const boost::json::object object, ReadBody(request, context));
  ASSIGN_OR_RETURN(const StateBody body, ReadLoadMixture(object));
  ASSIGN_OR_RETURN(TargetedChange change,
                   FindTarget(request, caller, context, std::move(out), body.model, {body.name}));
  ASSIGN_OR_RETURN(const v1::DefineMixtureRequest mixture, MixtureOf(body, change.target.model));
  ChangeByList(std::move(change.request), change.target,
               [target = change.target, body, mixture](const v1::ListResponse& list) {
                 return PlanOfMixture(target, body, mixture, list);
               });
  return absl::OkStatus();
}

absl::Status SetGatingWeight(const HttpRequest& request, const Caller& caller,
                             GatewayContext& context, std::shared_ptr<HttpResponder> out) {
  ASSIGN_OR_RETURN(const boost::json::object object, ReadBody(request, context));
  ASSIGN_OR_RETURN(StateBody body, ReadSetWeights(object));
  const ModelName name = SplitModelName(context.workers, body.name);
  if (!name.entry.empty()) {
    if (body.model.empty()) body.model = name.model;
    body.name = name.entry;
  }
  ASSIGN_OR_RETURN(TargetedChange change,
                   FindTarget(request, caller, context, std::move(out), body.model, {body.name}));
  ChangeByList(std::move(change.request), change.target,
               [target = change.target, body](const v1::ListResponse& list) {
                 return PlanOfWeights(target, body, list);
               });
  return absl::OkStatus();
}

absl::Status RemoveStateModel(const HttpRequest& request, const Caller& caller,
                              GatewayContext& context, std::shared_ptr<HttpResponder> out) {
  ASSIGN_OR_RETURN(TargetedChange change,
                   FindTarget(request, caller, context, std::move(out), "", {}));
  RETURN_IF_ERROR(CheckMayRemove(caller, context, change.target.model));
  ChangeByList(std::move(change.request), change.target,
               [target = change.target](const v1::ListResponse& list) {
                 return PlanOfRemoval(target, list);
               });
  return absl::OkStatus();
}

}  // namespace skein
