#include "worker/rpc/load_model_reactor.h"

#include <utility>

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/metrics/metrics.h"
#include "worker/rpc/grpc_status.h"
#include "worker/rpc/response_conversion.h"

namespace skein {
namespace {

void LogEnd(const CallInfo& call, const std::string& model, const absl::Status& status) {
  LogFields fields = {{"request", call.request_id},
                      {"method", "LoadModel"},
                      {"model", model},
                      {"outcome", StatusLabel(status)}};
  if (!status.ok()) fields.emplace_back("error", std::string(status.message()));
  LogInfo("model change", fields);
}

}  // namespace

grpc::ServerWriteReactor<v1::LoadProgress>* LoadModelReactor::Begin(
    ModelHost& host, const CallInfo& call, const ModelRequestRules& rules,
    const v1::LoadModelRequest& request) {
  const auto reactor = std::make_shared<LoadModelReactor>();
  reactor->self_ = reactor;
  const absl::Status status = reactor->Submit(host, call, rules, request);
  if (!status.ok()) {
    LogEnd(call, request.name(), status);
    const std::lock_guard<std::mutex> lock(reactor->mu_);
    reactor->FinishLocked(status);
  }
  return reactor.get();
}

absl::Status LoadModelReactor::Submit(ModelHost& host, const CallInfo& call,
                                      const ModelRequestRules& rules,
                                      const v1::LoadModelRequest& request) {
  ASSIGN_OR_RETURN(ModelSource source, ConvertLoadModel(request, rules));
  ModelHost::ChangeListener listener;
  listener.on_progress = [self = self_](int64_t done, int64_t total) {
    self->OnProgress(done, total);
  };
  listener.on_end = [self = self_, call, name = source.name](const auto& model) {
    LogEnd(call, name, model.status());
    self->OnEnd(model);
  };
  return host.Replace(std::move(source), rules.grace, std::move(listener));
}

void LoadModelReactor::OnProgress(int64_t bytes_done, int64_t bytes_total) {
  const std::lock_guard<std::mutex> lock(mu_);
  latest_.set_bytes_done(static_cast<uint64_t>(bytes_done));
  latest_.set_bytes_total(static_cast<uint64_t>(bytes_total));
  changed_ = true;
  FlushLocked();
}

void LoadModelReactor::OnEnd(const absl::StatusOr<std::shared_ptr<ServedModel>>& model) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (finished_) return;
  if (model.ok()) {
    *latest_.mutable_ready() = ConvertModelInfo((*model)->profile);
    changed_ = true;
  }
  end_ = model.status();
  FlushLocked();
}

void LoadModelReactor::OnWriteDone(bool) {
  // A failed write needs no care: OnCancel comes too. OnDone may come before the lock is released.
  const std::shared_ptr<LoadModelReactor> keep = shared_from_this();
  const std::lock_guard<std::mutex> lock(mu_);
  writing_ = false;
  FlushLocked();
}

void LoadModelReactor::OnCancel() {
  const std::shared_ptr<LoadModelReactor> keep = shared_from_this();
  const std::lock_guard<std::mutex> lock(mu_);
  changed_ = false;
  end_ = absl::CancelledError("the caller has left, the load goes on");
  FlushLocked();
}

void LoadModelReactor::OnDone() { const std::shared_ptr<LoadModelReactor> last = std::move(self_); }

void LoadModelReactor::FlushLocked() {
  if (writing_ || finished_) return;
  if (changed_) {
    changed_ = false;
    writing_ = true;
    in_flight_ = latest_;
    StartWrite(&in_flight_);
  } else if (end_.has_value()) {
    FinishLocked(*end_);
  }
}

void LoadModelReactor::FinishLocked(const absl::Status& status) {
  finished_ = true;
  Finish(ToGrpcStatus(status));
}

}  // namespace skein
