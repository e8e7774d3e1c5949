#include "gateway/rwkv_infer/change_target.h"

#include <utility>

#include "common/base/status_macros.h"
#include "gateway/endpoints/admit_request.h"
#include "gateway/endpoints/call_options.h"
#include "gateway/endpoints/errors.h"
#include "gateway/endpoints/worker_errors.h"
#include "gateway/rpc/byte_messages.h"
#include "gateway/rpc/client_call.h"

namespace skein {
namespace {

// Empty where there is none, or several: PickAll then says so.
std::string OnlyModel(const GatewayContext& context) {
  const std::vector<v1::ModelInfo> models = context.workers.Models();
  return models.size() == 1 ? models[0].name() : "";
}

absl::StatusOr<v1::ListResponse> ReadList(const WorkerOutcome& outcome) {
  RETURN_IF_ERROR(FromGrpc(outcome.status));
  return ParseBytes<v1::ListResponse>(outcome.answer);
}

}  // namespace

absl::Status CheckModelIsReady(const WorkerPool& workers) {
  if (!workers.Models().empty()) return absl::OkStatus();
  return absl::UnavailableError(
      "no model is ready: either one is being loaded, or POST /loadmodel loads one");
}

std::function<bool()> ChangeTarget::AreListed() const {
  return [pool = pool, model = model, addresses = AddressesOf(workers)] {
    return pool->AreListed(model, addresses);
  };
}

absl::StatusOr<TargetedChange> FindTarget(const HttpRequest& request, const Caller& caller,
                                          GatewayContext& context,
                                          std::shared_ptr<HttpResponder> out,
                                          const std::string& model,
                                          const std::vector<std::string>& entries) {
  RETURN_IF_ERROR(CheckModelIsReady(context.workers));
  const std::string name = model.empty() ? OnlyModel(context) : model;
  request.access->Update([&name](AccessFacts& facts) { facts.model = name; });
  ASSIGN_OR_RETURN(CallOptions options, MakeCallOptions(request, context));
  ASSIGN_OR_RETURN(Admission admission, AdmitCall(caller, context, name, *out, entries));
  absl::StatusOr<std::vector<WorkerHandle>> workers = context.workers.PickAll(name);
  if (!workers.ok()) return FromPick(workers.status());
  return TargetedChange{
      .target = {.pool = &context.workers, .model = name, .workers = *std::move(workers)},
      .request = {.context = context,
                  .options = std::move(options),
                  .request_id = request.request_id,
                  .admission = std::make_shared<Admission>(std::move(admission)),
                  .out = std::move(out)}};
}

void ChangeByList(ChangeRequest request, const ChangeTarget& target,
                  std::function<absl::StatusOr<ChangePlan>(const v1::ListResponse&)> make_plan) {
  v1::ListRequest message;
  message.set_model(target.model);
  const ByteRequest list = {"/skein.v1.RegistryService/List", ToBytes(message)};
  const CallOptions options = request.options;
  WorkerPool& pool = request.context.workers;
  const std::vector<WorkerHandle> first = {target.workers[0]};
  const auto call = std::make_shared<CallAll>(
      pool, first,
      [request = std::move(request),
       make_plan = std::move(make_plan)](std::vector<WorkerOutcome>& outcomes) mutable {
        const absl::StatusOr<v1::ListResponse> entries = ReadList(outcomes[0]);
        absl::StatusOr<ChangePlan> plan =
            entries.ok() ? make_plan(*entries) : FromWorker(entries.status(), "");
        if (plan.ok()) {
          RunChange(std::move(request), *std::move(plan));
          return;
        }
        request.admission.reset();
        request.out->Send(ErrorResponse(plan.status(), request.request_id));
      });
  call->Start(list, options);
}

}  // namespace skein
