#include "gateway/rpc/retrying_call.h"

#include <mutex>
#include <utility>
#include <vector>

#include <grpcpp/support/slice.h>

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "gateway/rpc/byte_messages.h"
#include "skein/v1/inference.pb.h"

namespace skein {
namespace {

constexpr size_t kMaxRetries = 2;

bool WorkerIsGone(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE;
}
bool WorkerIsFull(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED;
}

bool IsOnlyStarted(absl::string_view method, const grpc::ByteBuffer& bytes) {
  if (method != kGenerateMethod) return false;
  const absl::StatusOr<v1::GenerateResponse> message = ParseBytes<v1::GenerateResponse>(bytes);
  return message.ok() && message->has_started() && message->text().empty() &&
         message->tokens().empty() && !message->has_usage() &&
         message->finish() == v1::FINISH_REASON_UNSPECIFIED;
}

// Of two messages of one type: the message that has the fields of both.
grpc::ByteBuffer Concatenated(const grpc::ByteBuffer& first, const grpc::ByteBuffer& second) {
  std::vector<grpc::Slice> slices, more;
  first.Dump(&slices);
  second.Dump(&more);
  slices.insert(slices.end(), more.begin(), more.end());
  return grpc::ByteBuffer(slices.data(), slices.size());
}

// Stands between the caller and its calls, one after the other. Their callbacks keep it.
class RetryingCall final : public ByteCall, public std::enable_shared_from_this<RetryingCall> {
 public:
  RetryingCall(WorkerPool& workers, WorkerHandle worker, PickRequest pick, ByteRequest request,
               const CallOptions& options, ByteCallbacks callbacks)
      : workers_(workers),
        worker_(std::move(worker)),
        pick_(std::move(pick)),
        request_(std::move(request)),
        options_(options),
        callbacks_(std::move(callbacks)) {}

  void Start() override {
    ByteCallbacks callbacks;
    callbacks.on_message = [self = shared_from_this()](grpc::ByteBuffer& message) {
      self->OnMessage(message);
    };
    callbacks.on_done = [self = shared_from_this()](const grpc::Status& status) {
      self->OnDone(status);
    };
    const std::shared_ptr<ByteCall> call =
        MakeByteCall(worker_, request_, options_, std::move(callbacks));
    bool cancelled = false;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      call_ = call;
      cancelled = cancelled_;
    }
    if (cancelled) call->Cancel();
    call->Start();
  }

  void ReadNext() override {
    if (const std::shared_ptr<ByteCall> call = Current()) call->ReadNext();
  }

  void Cancel() override {
    std::shared_ptr<ByteCall> call;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      cancelled_ = true;
      call = call_;
    }
    if (call != nullptr) call->Cancel();
  }

 private:
  // Null before the start and after the end.
  std::shared_ptr<ByteCall> Current() {
    const std::lock_guard<std::mutex> lock(mu_);
    return call_;
  }

  // A generation that has begun but has no token yet can begin again elsewhere, so the word that it
  // has begun waits for the first token.
  void OnMessage(grpc::ByteBuffer& message) {
    if (may_retry_ && !held_.Valid() && IsOnlyStarted(request_.method, message)) {
      held_.Swap(&message);
      ReadNext();
      return;
    }
    may_retry_ = false;
    request_.message.Clear();
    if (held_.Valid()) message = Concatenated(std::exchange(held_, {}), message);
    callbacks_.on_message(message);
  }

  void OnDone(const grpc::Status& status) {
    bool retry = false;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      retry = may_retry_ && !cancelled_ && (WorkerIsGone(status) || WorkerIsFull(status));
      call_.reset();
    }
    held_.Clear();
    if (retry && MoveToAnotherWorker(status)) return Start();
    // What the callbacks own goes with the end of the call.
    const ByteCallbacks callbacks = std::exchange(callbacks_, {});
    callbacks.on_done(status);
  }

  bool MoveToAnotherWorker(const grpc::Status& status) {
    pick_.avoid.push_back(worker_.address);
    if (pick_.avoid.size() > kMaxRetries) return false;
    pick_.needs_free_slot = WorkerIsFull(status);
    absl::StatusOr<WorkerHandle> other = workers_.PickAgain(pick_);
    if (!other.ok()) return false;
    LogWarning("call moved to another worker", {{"request", options_.request_id},
                                                {"from", worker_.address},
                                                {"to", other->address},
                                                {"reason", status.error_message()}});
    worker_ = *std::move(other);
    return true;
  }

  WorkerPool& workers_;
  // Used by the start, then by one gRPC callback at a time.
  WorkerHandle worker_;
  PickRequest pick_;     // avoids where it was
  ByteRequest request_;  // without its message once it cannot be repeated
  const CallOptions options_;
  ByteCallbacks callbacks_;
  bool may_retry_ = true;
  grpc::ByteBuffer held_;  // a first message that was not passed on yet

  std::mutex mu_;
  // Guarded by mu_.
  std::shared_ptr<ByteCall> call_;  // the current one
  bool cancelled_ = false;
};

}  // namespace

absl::StatusOr<std::shared_ptr<ByteCall>> MakeRetryingCall(WorkerPool& workers, PickRequest pick,
                                                           ByteRequest request,
                                                           const CallOptions& options,
                                                           ByteCallbacks callbacks) {
  ASSIGN_OR_RETURN(WorkerHandle worker, workers.Pick(pick));
  return std::make_shared<RetryingCall>(workers, std::move(worker), std::move(pick),
                                        std::move(request), options, std::move(callbacks));
}

}  // namespace skein
