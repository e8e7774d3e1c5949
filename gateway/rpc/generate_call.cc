#include <memory>
#include <mutex>
#include <utility>

#include <grpcpp/alarm.h>

#include "common/base/status_macros.h"
#include "gateway/routing/affinity.h"
#include "gateway/rpc/byte_call.h"
#include "gateway/rpc/byte_messages.h"
#include "gateway/rpc/client_call.h"
#include "gateway/rpc/inference_client.h"
#include "gateway/rpc/retrying_call.h"

namespace skein {
namespace {

// Messages for bytes. The next message is read when the callback has returned and nobody holds the
// call, so a slow callback slows the worker's stream down. The call's callbacks keep this object
// until the end.
class GenerateReader final : public GenerateCall,
                             public std::enable_shared_from_this<GenerateReader> {
 public:
  explicit GenerateReader(GenerateCallbacks callbacks) : callbacks_(std::move(callbacks)) {}

  ByteCallbacks Callbacks() {
    ByteCallbacks callbacks;
    callbacks.on_message = [self = shared_from_this()](grpc::ByteBuffer& message) {
      self->OnMessage(message);
    };
    callbacks.on_done = [self = shared_from_this()](const grpc::Status& status) {
      self->OnDone(FromGrpc(status));
    };
    return callbacks;
  }

  void Start(std::shared_ptr<ByteCall> call, absl::Time deadline) {
    call_ = std::move(call);
    if (callbacks_.hold && deadline != absl::InfiniteFuture()) WatchDeadline(deadline);
    call_->Start();
  }

  void Cancel() override { call_->Cancel(); }

 private:
  void OnMessage(grpc::ByteBuffer& message) {
    absl::StatusOr<v1::GenerateResponse> response = ParseBytes<v1::GenerateResponse>(message);
    if (response.ok()) {
      callbacks_.on_message(*std::move(response));
      if (!IsHeld()) call_->ReadNext();
      return;
    }
    broken_ = absl::InternalError("the worker sent what is not a GenerateResponse");
    call_->Cancel();
  }

  bool IsHeld() {
    if (!callbacks_.hold) return false;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      if (past_deadline_) return false;
      held_ = true;
    }
    if (callbacks_.hold([self = shared_from_this()] { self->Resume(); })) return true;
    const std::lock_guard<std::mutex> lock(mu_);
    return !std::exchange(held_, false);  // true: the deadline has resumed it
  }

  void Resume() {
    {
      const std::lock_guard<std::mutex> lock(mu_);
      if (!std::exchange(held_, false)) return;
    }
    call_->ReadNext();
  }

  // gRPC tells of the end of a call to who reads. From its deadline on a call is not held.
  void WatchDeadline(absl::Time deadline) {
    alarm_.Set(absl::ToChronoTime(deadline), [weak = weak_from_this()](bool passed) {
      const RunningCall running;  // goes after the call, which holds its worker's channel
      const std::shared_ptr<GenerateReader> self = weak.lock();
      if (passed && self != nullptr) self->OnDeadline();
    });
  }

  void OnDeadline() {
    {
      const std::lock_guard<std::mutex> lock(mu_);
      past_deadline_ = true;
    }
    Resume();
  }

  void OnDone(const absl::Status& status) {
    // What callbacks own goes with the end of the call, not with the last handle to it.
    const GenerateCallbacks callbacks = std::exchange(callbacks_, {});
    callbacks.on_done(broken_.ok() ? status : broken_);
  }

  std::shared_ptr<ByteCall> call_;  // constant from the start on
  grpc::Alarm alarm_;               // at the deadline; its end cancels it
  // Used by one gRPC callback at a time.
  GenerateCallbacks callbacks_;
  absl::Status broken_;

  // Not held while gRPC is called: it may run callbacks within.
  std::mutex mu_;
  // Guarded by mu_.
  bool held_ = false;  // the next read waits for Resume
  bool past_deadline_ = false;
};

}  // namespace

std::shared_ptr<GenerateCall> StartGenerate(const WorkerHandle& worker,
                                            const v1::GenerateRequest& request,
                                            const CallOptions& options,
                                            GenerateCallbacks callbacks) {
  auto reader = std::make_shared<GenerateReader>(std::move(callbacks));
  reader->Start(
      MakeByteCall(worker, {kGenerateMethod, ToBytes(request)}, options, reader->Callbacks()),
      options.deadline);
  return reader;
}

absl::StatusOr<std::shared_ptr<GenerateCall>> StartGenerateWithRetry(
    WorkerPool& workers, const v1::GenerateRequest& request, const CallOptions& options,
    GenerateCallbacks callbacks) {
  auto reader = std::make_shared<GenerateReader>(std::move(callbacks));
  ASSIGN_OR_RETURN(
      std::shared_ptr<ByteCall> call,
      MakeRetryingCall(workers, PickRequestFor(request, options.affinity_key),
                       {kGenerateMethod, ToBytes(request)}, options, reader->Callbacks()));
  reader->Start(std::move(call), options.deadline);
  return std::shared_ptr<GenerateCall>(std::move(reader));
}

}  // namespace skein
