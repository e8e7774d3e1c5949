#include "gateway/routing/worker_watch.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_join.h"
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include "common/base/log.h"

namespace skein {
namespace {

// A worker that is busy may answer one of them late.
constexpr int kMaxMissedLists = 2;
// How often a worker with nothing to tell says that it is there.
constexpr absl::Duration kHeartbeat = absl::Seconds(1);

absl::Status ToAbsl(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace

// Keeps itself until OnDone. The watch outlives it.
class WorkerWatch::LoadStream final : public grpc::ClientReadReactor<v1::WorkerLoad> {
 public:
  explicit LoadStream(WorkerWatch& watch) : watch_(watch) {}

  void Open(std::shared_ptr<LoadStream> self, absl::Duration heartbeat) {
    self_ = std::move(self);
    request_.set_heartbeat_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(heartbeat)));
    watch_.stub_->async()->WatchLoad(&context_, &request_, this);
    StartRead(&load_);
    StartCall();
  }
  void Cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    watch_.OnLoad(load_);
    StartRead(&load_);
  }
  void OnDone(const grpc::Status& status) override {
    watch_.OnStreamEnd(std::move(self_), ToAbsl(status));
  }

 private:
  WorkerWatch& watch_;
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
  std::shared_ptr<LoadStream> silent;
  absl::Time next = now + kMaxPollWait;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (stopping_) return next;
    silent = SilentStreamLocked(now);
    if (stream_ == nullptr && now >= next_stream_) {
      stream_ = new_stream = std::make_shared<LoadStream>(*this);
      ++num_calls_;
    }
    if (connected_ && list_call_ == nullptr && (models_changed_ || now >= next_list_)) {
      models_changed_ = false;
      next_list_ = now + options_.refresh;
      list_call_ = new_list = std::make_shared<ListCall>();
      ++num_calls_;
    }
    if (stream_ == nullptr) next = std::min(next, next_stream_);
    if (connected_ && list_call_ == nullptr) next = std::min(next, next_list_);
    if (connected_ && heartbeats_) next = std::min(next, last_load_ + options_.silence);
  }
  if (silent != nullptr) {
    LogWarning("worker is silent", {{"worker", address_}});
    events_.on_silent();
    silent->Cancel();
  }
  if (new_stream != nullptr) {
    new_stream->Open(new_stream, std::min(kHeartbeat, options_.silence / 4));
  }
  if (new_list != nullptr) AskForModels(new_list);
  return next;
}

// Null unless the worker should have sent something by now. After a time in which this process
// itself stood still, it gets another chance.
std::shared_ptr<WorkerWatch::LoadStream> WorkerWatch::SilentStreamLocked(absl::Time now) {
  const bool stood_still = now > last_poll_ + 3 * kMaxPollWait;
  last_poll_ = now;
  if (stood_still) last_load_ = now;
  if (!connected_ || !heartbeats_ || now < last_load_ + options_.silence) return nullptr;
  heartbeats_ = false;  // told once
  return stream_;
}

void WorkerWatch::Stop() {
  std::shared_ptr<LoadStream> stream;
  std::shared_ptr<ListCall> list_call;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    stopping_ = true;
    stream = stream_;
    list_call = list_call_;
  }
  if (stream != nullptr) stream->Cancel();
  if (list_call != nullptr) list_call->context.TryCancel();
  std::unique_lock<std::mutex> lock(mu_);
  call_gone_.wait(lock, [this] { return num_calls_ == 0; });
}

void WorkerWatch::AskForModels(const std::shared_ptr<ListCall>& call) {
  call->context.set_deadline(std::chrono::system_clock::now() +
                             absl::ToChronoMilliseconds(options_.refresh));
  stub_->async()->ListModels(&call->context, &call->request, &call->response,
                             [this, call](const grpc::Status& status) mutable {
                               OnModels(std::move(call), ToAbsl(status));
                             });
}

void WorkerWatch::OnLoad(const v1::WorkerLoad& load) {
  bool first = false;
  bool list_is_due = false;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (stopping_) return;
    last_load_ = options_.clock->Steady();
    heartbeats_ = load.heartbeat_ms() > 0;
    first = !connected_;
    connected_ = true;
    retry_delay_ = options_.first_retry;
    const std::string ready_models = absl::StrJoin(load.ready_models(), "\n");
    models_changed_ = models_changed_ || first || ready_models != ready_models_;
    ready_models_ = ready_models;
    list_is_due = models_changed_;
  }
  if (first) LogInfo("worker connected", {{"worker", address_}});
  events_.on_load(load);
  if (list_is_due) events_.wake();
}

void WorkerWatch::OnStreamEnd(std::shared_ptr<LoadStream> stream, const absl::Status& status) {
  events_.on_down();
  {
    const std::lock_guard<std::mutex> lock(mu_);
    const bool first_failure = connected_ || retry_delay_ == options_.first_retry;
    if (first_failure && !stopping_) {
      LogWarning(connected_ ? "worker lost" : "worker not reachable",
                 {{"worker", address_}, {"reason", std::string(status.message())}});
    }
    stream_.reset();
    connected_ = false;
    heartbeats_ = false;
    missed_lists_ = 0;
    next_stream_ = options_.clock->Steady() + retry_delay_;
    retry_delay_ = std::min(retry_delay_ * 2, options_.last_retry);
  }
  stream.reset();
  CallGone();
}

void WorkerWatch::OnModels(std::shared_ptr<ListCall> call, const absl::Status& status) {
  if (status.ok()) events_.on_models(call->response);
  std::shared_ptr<LoadStream> dead_stream;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    const bool missed = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
    missed_lists_ = missed ? missed_lists_ + 1 : 0;
    if (missed) next_list_ = options_.clock->Steady() + options_.first_retry;
    if (missed_lists_ >= kMaxMissedLists && !stopping_) dead_stream = stream_;
    list_call_.reset();
  }
  if (dead_stream != nullptr) {
    LogWarning("worker does not answer",
               {{"worker", address_}, {"reason", std::string(status.message())}});
    dead_stream->Cancel();
  }
  dead_stream.reset();
  call.reset();
  CallGone();
}

void WorkerWatch::CallGone() {
  const std::lock_guard<std::mutex> lock(mu_);
  --num_calls_;
  events_.wake();
  call_gone_.notify_all();
}

}  // namespace skein
