#include "gateway/endpoints/registry_admin.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "boost/json/array.hpp"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "gateway/endpoints/admit_request.h"
#include "gateway/endpoints/call_options.h"
#include "gateway/endpoints/errors.h"
#include "gateway/endpoints/registry_body.h"
#include "gateway/endpoints/request_body.h"
#include "gateway/endpoints/resolve_model.h"
#include "gateway/endpoints/worker_errors.h"
#include "gateway/endpoints/worker_outcomes.h"
#include "gateway/rpc/byte_messages.h"
#include "gateway/rpc/call_all.h"
#include "gateway/rpc/client_call.h"

namespace skein {
namespace {

namespace json = boost::json;

struct Change {
  const char* method = nullptr;  // of RegistryService
  const char* object = nullptr;  // what the answer is
  std::string model;
  std::string name;
  bool removes = false;
};

// All of them took it.
std::string ReplyBody(const Change& change, const std::vector<WorkerOutcome>& outcomes) {
  json::object reply = {{"id", absl::StrCat(change.model, " ", change.name)},
                        {"object", change.object},
                        {"model", change.model},
                        {"name", change.name}};
  const absl::StatusOr<v1::Entry> entry = ParseBytes<v1::Entry>(outcomes[0].answer);
  if (change.removes) {
    reply["deleted"] = true;
  } else if (entry.ok()) {
    if (entry->kind() == v1::ENTRY_KIND_ADAPTER) reply["method"] = entry->method();
    if (entry->kind() != v1::ENTRY_KIND_MIXTURE) {
      reply["content_hash"] = entry->content_hash();
      reply["bytes"] = entry->bytes();
    }
    json::array warnings;
    for (const std::string& warning : entry->warnings()) warnings.push_back(json::value(warning));
    reply["warnings"] = std::move(warnings);
  }
  reply["workers"] = WorkersJson(outcomes);
  return json::serialize(reply);
}

HttpResponse Answer(const Change& change, const std::vector<WorkerOutcome>& outcomes,
                    const std::string& request_id) {
  const absl::Status status = FromWorker(FromGrpc(SumUp(outcomes)), "");
  if (status.ok()) return {.body = ReplyBody(change, outcomes), .headers = {}};
  return ErrorOfWorkers(status, outcomes, request_id);
}

// Entries that a request is about: keys with a list of adapters change what is on it, and make
// mixtures only of what is on it.
template <typename Request>
std::vector<std::string> NamesOf(const Request& request) {
  return {request.name()};
}
template <>
std::vector<std::string> NamesOf(const v1::DefineMixtureRequest& request) {
  std::vector<std::string> entries = {request.name()};
  for (const v1::StateWeight& state : request.mix().states()) {
    if (!state.name().empty()) entries.push_back(state.name());
  }
  return entries;
}

template <typename Request>
absl::Status ChangeAll(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                       std::shared_ptr<HttpResponder> out, Change change, const Request& message) {
  change.model = message.model();
  change.name = message.name();
  request.access->Update([&change](AccessFacts& facts) { facts.model = change.model; });
  ASSIGN_OR_RETURN(const CallOptions options, MakeCallOptions(request, context));
  ASSIGN_OR_RETURN(Admission admitted,
                   AdmitCall(caller, context, change.model, *out, NamesOf(message)));
  auto admission = std::make_shared<Admission>(std::move(admitted));  // callbacks are copied
  const absl::StatusOr<std::vector<WorkerHandle>> workers = context.workers.PickAll(change.model);
  if (!workers.ok()) return FromPick(workers.status());
  const ByteRequest bytes = {change.method, ToBytes(message)};
  const auto call = std::make_shared<CallAll>(
      context.workers, *workers,
      [change = std::move(change), out = std::move(out), admission = std::move(admission),
       request_id = request.request_id](std::vector<WorkerOutcome>& outcomes) {
        const HttpResponse response = Answer(change, outcomes, request_id);
        *admission = Admission();
        const absl::StatusCode code = FromGrpc(SumUp(outcomes)).code();
        LogInfo("registry change", {{"request", request_id},
                                    {"method", change.method},
                                    {"outcome", absl::StatusCodeToString(code)}});
        out->Send(response);
      });
  call->Start(bytes, options);
  return absl::OkStatus();
}

// A kind of entry, and what it is called in an answer.
struct Kind {
  v1::EntryKind kind;
  const char* object;
};
constexpr Kind kState = {v1::ENTRY_KIND_STATE, "state"};
constexpr Kind kMixture = {v1::ENTRY_KIND_MIXTURE, "mixture"};
constexpr Kind kAdapter = {v1::ENTRY_KIND_ADAPTER, "adapter"};

// The path is /v1/KINDs/ and "MODEL NAME".
absl::Status Delete(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                    std::shared_ptr<HttpResponder> out, const Kind& kind) {
  const std::string id = request.path.substr(absl::StrCat("/v1/", kind.object, "s/").size());
  const ModelName name = SplitModelName(context.workers, id);
  if (name.entry.empty()) {
    return WithParam(absl::NotFoundError(absl::StrCat(
                         "id: \"", id, "\" is none of GET /v1/models, expected \"MODEL NAME\"")),
                     "id");
  }
  v1::RemoveRequest message;
  message.set_model(name.model);
  message.set_name(name.entry);
  message.set_kind(kind.kind);
  return ChangeAll(request, caller, context, std::move(out),
                   {.method = "/skein.v1.RegistryService/Remove",
                    .object = kind.object,
                    .model = {},
                    .name = {},
                    .removes = true},
                   message);
}

}  // namespace

absl::Status PostState(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                       std::shared_ptr<HttpResponder> out) {
  ASSIGN_OR_RETURN(const json::object body, ReadBody(request, context));
  ASSIGN_OR_RETURN(const v1::LoadStateRequest message, ReadStateBody(body));
  return ChangeAll(request, caller, context, std::move(out),
                   {.method = "/skein.v1.RegistryService/LoadState",
                    .object = kState.object,
                    .model = {},
                    .name = {}},
                   message);
}

absl::Status PostAdapter(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                         std::shared_ptr<HttpResponder> out) {
  ASSIGN_OR_RETURN(const json::object body, ReadBody(request, context));
  ASSIGN_OR_RETURN(const v1::LoadAdapterRequest message, ReadAdapterBody(body));
  return ChangeAll(request, caller, context, std::move(out),
                   {.method = "/skein.v1.RegistryService/LoadAdapter",
                    .object = kAdapter.object,
                    .model = {},
                    .name = {}},
                   message);
}

absl::Status PostMixture(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                         std::shared_ptr<HttpResponder> out) {
  ASSIGN_OR_RETURN(const json::object body, ReadBody(request, context));
  ASSIGN_OR_RETURN(const v1::DefineMixtureRequest message, ReadMixtureBody(body));
  return ChangeAll(request, caller, context, std::move(out),
                   {.method = "/skein.v1.RegistryService/DefineMixture",
                    .object = kMixture.object,
                    .model = {},
                    .name = {}},
                   message);
}

absl::Status DeleteState(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                         std::shared_ptr<HttpResponder> out) {
  return Delete(request, caller, context, std::move(out), kState);
}

absl::Status DeleteMixture(const HttpRequest& request, const Caller& caller,
                           GatewayContext& context, std::shared_ptr<HttpResponder> out) {
  return Delete(request, caller, context, std::move(out), kMixture);
}

absl::Status DeleteAdapter(const HttpRequest& request, const Caller& caller,
                           GatewayContext& context, std::shared_ptr<HttpResponder> out) {
  return Delete(request, caller, context, std::move(out), kAdapter);
}

}  // namespace skein
