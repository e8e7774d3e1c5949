#include "gateway/rpc/generate_with_retry.h"

#include <mutex>
#include <string>
#include <utility>

#include "common/base/log.h"
#include "common/base/status_macros.h"

namespace skein {
namespace {

// Stands between the caller and at most two calls, one after the other. Their callbacks keep it.
class RetryingCall final : public GenerateCall, public std::enable_shared_from_this<RetryingCall> {
 public:
  RetryingCall(WorkerPool& workers, v1::GenerateRequest request, const CallOptions& options,
               GenerateCallbacks callbacks)
      : workers_(workers),
        request_(std::move(request)),
        options_(options),
        callbacks_(std::move(callbacks)) {}

  void Start(const WorkerHandle& worker) {
    {
      const std::lock_guard<std::mutex> lock(mu_);
      address_ = worker.address;
    }
    GenerateCallbacks callbacks;
    callbacks.on_message = [self = shared_from_this()](v1::GenerateResponse message) {
      self->OnMessage(std::move(message));
    };
    callbacks.on_done = [self = shared_from_this()](const absl::Status& status) {
      self->OnDone(status);
    };
    std::shared_ptr<GenerateCall> call =
        StartGenerate(worker, request_, options_, std::move(callbacks));
    bool cancel = false;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      cancel = cancelled_;
      // Else it has ended already.
      if (!done_ && address_ == worker.address) call_ = call;
    }
    if (cancel) call->Cancel();
  }

  void Cancel() override {
    std::shared_ptr<GenerateCall> call;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      cancelled_ = true;
      call = call_;
    }
    if (call != nullptr) call->Cancel();
  }

 private:
  void OnMessage(v1::GenerateResponse message) {
    {
      const std::lock_guard<std::mutex> lock(mu_);
      may_retry_ = false;
    }
    callbacks_.on_message(std::move(message));
  }

  void OnDone(const absl::Status& status) {
    std::string failed;
    bool retry = false;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      retry = may_retry_ && !cancelled_ && absl::IsUnavailable(status);
      may_retry_ = false;
      failed = address_;
    }
    if (retry) {
      const absl::StatusOr<WorkerHandle> other = workers_.Pick(request_.model(), failed);
      if (other.ok()) {
        LogWarning("generation moved to another worker",
                   {{"request", options_.request_id},
                    {"from", failed},
                    {"to", other->address},
                    {"reason", std::string(status.message())}});
        Start(*other);
        return;
      }
    }
    {
      const std::lock_guard<std::mutex> lock(mu_);
      done_ = true;
      call_.reset();
    }
    // What the callbacks own goes with the end of the call.
    const GenerateCallbacks callbacks = std::exchange(callbacks_, {});
    callbacks.on_done(status);
  }

  WorkerPool& workers_;
  const v1::GenerateRequest request_;
  const CallOptions options_;
  GenerateCallbacks callbacks_;  // used by one gRPC callback at a time

  std::mutex mu_;
  // Guarded by mu_.
  std::shared_ptr<GenerateCall> call_;
  std::string address_;  // where the current call runs
  bool may_retry_ = true;
  bool cancelled_ = false;
  bool done_ = false;
};

}  // namespace

absl::StatusOr<std::shared_ptr<GenerateCall>> StartGenerateWithRetry(WorkerPool& workers,
                                                                     v1::GenerateRequest request,
                                                                     const CallOptions& options,
                                                                     GenerateCallbacks callbacks) {
  ASSIGN_OR_RETURN(const WorkerHandle worker, workers.Pick(request.model()));
  auto call =
      std::make_shared<RetryingCall>(workers, std::move(request), options, std::move(callbacks));
  call->Start(worker);
  return std::shared_ptr<GenerateCall>(std::move(call));
}

}  // namespace skein
