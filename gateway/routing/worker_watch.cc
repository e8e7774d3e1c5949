#include "gateway/routing/worker_watch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include "common/base/log.h"

namespace skein {
namespace {

// A worker that is busy may answer one of them late.
constexpr int kMaxMissedLists = 2;

absl::Status ToAbsl(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace

// Keeps itself and its watch until OnDone.
class WorkerWatch::LoadStream final : public grpc::ClientReadReactor<v1::WorkerLoad> {
 public:
  explicit LoadStream(std::shared_ptr<WorkerWatch> watch) : watch_(std::move(watch)) {}

  void Open(std::shared_ptr<LoadStream> self) {
    self_ = std::move(self);
    watch_->stub_->async()->WatchLoad(&context_, &request_, this);
    StartRead(&load_);
    StartCall();
  }
  void Cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    watch_->OnLoad(load_);
    StartRead(&load_);
  }
  void OnDone(const grpc::Status& status) override {
    const std::shared_ptr<LoadStream> self = std::move(self_);
    watch_->OnStreamEnd(ToAbsl(status));
  }

 private:
  const std::shared_ptr<WorkerWatch> watch_;
  std::shared_ptr<LoadStream> self_;
  grpc::ClientContext context_;
  v1::WatchLoadRequest request_;
  v1::WorkerLoad load_;
};

struct WorkerWatch::ListCall {
  grpc::ClientContext context;
  v1::ListModelsRequest request;
  v1::ListModelsResponse response;
};

WorkerWatch::WorkerWatch(std::string address, std::shared_ptr<grpc::Channel> channel,
                         const WorkerPoolOptions& options, WatchEvents events)
    : address_(std::move(address)),
      channel_(std::move(channel)),
      options_(options),
      events_(std::move(events)),
      stub_(v1::WorkerService::NewStub(channel_)),
      retry_delay_(options.first_retry) {}

// gRPC may run callbacks within the call that starts or cancels something, so none of these is made
// under the lock.
absl::Time WorkerWatch::Poll(absl::Time now) {
  std::shared_ptr<LoadStream> new_stream;
  std::shared_ptr<ListCall> new_list;
  absl::Time next = absl::InfiniteFuture();
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (stopping_) return next;
    if (stream_ == nullptr && now >= next_stream_) {
      stream_ = new_stream = std::make_shared<LoadStream>(shared_from_this());
    }
    if (connected_ && list_call_ == nullptr && (models_changed_ || now >= next_list_)) {
      models_changed_ = false;
      next_list_ = now + options_.refresh;
      list_call_ = new_list = std::make_shared<ListCall>();
    }
    if (stream_ == nullptr) next = next_stream_;
    if (connected_ && list_call_ == nullptr) next = next_list_;
  }
  if (new_stream != nullptr) new_stream->Open(new_stream);
  if (new_list != nullptr) AskForModels(new_list);
  return next;
}

void WorkerWatch::Stop() {
  std::unique_lock<std::mutex> lock(mu_);
  stopping_ = true;
  const std::shared_ptr<LoadStream> stream = stream_;
  const std::shared_ptr<ListCall> list_call = list_call_;
  lock.unlock();
  if (stream != nullptr) stream->Cancel();
  if (list_call != nullptr) list_call->context.TryCancel();
  lock.lock();
  ended_.wait(lock, [this] { return stream_ == nullptr && list_call_ == nullptr; });
}

void WorkerWatch::AskForModels(const std::shared_ptr<ListCall>& call) {
  call->context.set_deadline(absl::ToChronoTime(absl::Now() + options_.refresh));
  stub_->async()->ListModels(&call->context, &call->request, &call->response,
                             [self = shared_from_this(), call](const grpc::Status& status) {
                               self->OnModels(ToAbsl(status), call->response);
                             });
}

void WorkerWatch::OnLoad(const v1::WorkerLoad& load) {
  bool first = false;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (stopping_) return;
    first = !connected_;
    connected_ = true;
    retry_delay_ = options_.first_retry;
    const std::string ready_models = absl::StrJoin(load.ready_models(), "\n");
    models_changed_ = models_changed_ || first || ready_models != ready_models_;
    ready_models_ = ready_models;
  }
  if (first) LogInfo("worker connected", {{"worker", address_}});
  events_.on_load(load);
  events_.wake();
}

void WorkerWatch::OnStreamEnd(const absl::Status& status) {
  events_.on_down();
  const std::lock_guard<std::mutex> lock(mu_);
  const bool first_failure = connected_ || retry_delay_ == options_.first_retry;
  if (first_failure && !stopping_) {
    LogWarning(connected_ ? "worker lost" : "worker not reachable",
               {{"worker", address_}, {"reason", std::string(status.message())}});
  }
  stream_.reset();
  connected_ = false;
  missed_lists_ = 0;
  next_stream_ = absl::Now() + retry_delay_;
  retry_delay_ = std::min(retry_delay_ * 2, options_.last_retry);
  events_.wake();
  ended_.notify_all();
}

void WorkerWatch::OnModels(const absl::Status& status, const v1::ListModelsResponse& models) {
  if (status.ok()) events_.on_models(models);
  std::shared_ptr<LoadStream> dead_stream;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    const bool missed = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
    missed_lists_ = missed ? missed_lists_ + 1 : 0;
    if (missed) next_list_ = absl::Now() + options_.first_retry;
    if (missed_lists_ >= kMaxMissedLists && !stopping_) dead_stream = stream_;
    list_call_.reset();
    events_.wake();
    ended_.notify_all();
  }
  if (dead_stream == nullptr) return;
  LogWarning("worker does not answer",
             {{"worker", address_}, {"reason", std::string(status.message())}});
  dead_stream->Cancel();
}

}  // namespace skein
