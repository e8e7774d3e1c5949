#include "worker/rpc/unload_model_reactor.h"

#include <utility>

#include "common/base/log.h"
#include "common/metrics/metrics.h"
#include "worker/rpc/grpc_status.h"

namespace skein {
namespace {

void LogEnd(const CallInfo& call, const std::string& model, const absl::Status& status) {
  LogFields fields = {{"request", call.request_id},
                      {"method", "UnloadModel"},
                      {"model", model},
                      {"outcome", StatusLabel(status)}};
  if (!status.ok()) fields.emplace_back("error", std::string(status.message()));
  LogInfo("model change", fields);
}

}  // namespace

grpc::ServerUnaryReactor* UnloadModelReactor::Begin(ModelHost& host, const CallInfo& call,
                                                    const ModelRequestRules& rules,
                                                    const v1::UnloadModelRequest& request) {
  const auto reactor = std::make_shared<UnloadModelReactor>();
  reactor->self_ = reactor;
  ModelHost::ChangeListener listener;
  listener.on_end = [reactor, call, name = request.name()](const auto& nothing) {
    LogEnd(call, name, nothing.status());
    reactor->FinishOnce(nothing.status());
  };
  absl::Status status = CheckMayChangeModels(rules);
  if (status.ok()) status = host.Unload(request.name(), rules.grace, std::move(listener));
  if (!status.ok()) {
    LogEnd(call, request.name(), status);
    reactor->FinishOnce(status);
  }
  return reactor.get();
}

void UnloadModelReactor::OnCancel() {
  const std::shared_ptr<UnloadModelReactor> keep = shared_from_this();
  FinishOnce(absl::CancelledError("the caller has left, the unloading goes on"));
}

void UnloadModelReactor::OnDone() {
  const std::shared_ptr<UnloadModelReactor> last = std::move(self_);
}

void UnloadModelReactor::FinishOnce(const absl::Status& status) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (finished_) return;
  finished_ = true;
  Finish(ToGrpcStatus(status));
}

}  // namespace skein
