// Calls to a worker, asynchronous: results arrive in callbacks on gRPC threads.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "gateway/routing/worker_pool.h"
#include "skein/v1/inference.pb.h"

namespace skein {

struct CallOptions {
  std::string request_id;   // sent as metadata x-request-id
  std::string traceparent;  // sent as metadata if not empty
  absl::Time deadline = absl::InfiniteFuture();
  std::string affinity_key;  // stays here: requests of one key go to one worker; empty: by prompt
  // Told the address of each worker that the call is sent to. May be called from any thread.
  std::function<void(const std::string& worker)> on_worker = nullptr;
};

// A running Generate call. Thread-safe; dropping it does not cancel the call.
class GenerateCall {
 public:
  virtual ~GenerateCall() = default;
  // on_done follows with Cancelled, unless the call has just ended by itself.
  virtual void Cancel() = 0;
};

struct GenerateCallbacks {
  std::function<void(v1::GenerateResponse)> on_message;  // one at a time, in order
  std::function<void(absl::Status)> on_done;             // once, last
  // Asked after each message. True: the next one is read when `resume` has been called, from any
  // thread, which may be before this returns; meanwhile the worker can send a little ahead (gRPC's
  // flow control), and then waits. A call that is held ends at its deadline, and when it is
  // cancelled, as any other does. Null: messages are read as fast as on_message returns.
  std::function<bool(std::function<void()> resume)> hold = nullptr;
};

// Starts the call; the callbacks may run before this returns.
std::shared_ptr<GenerateCall> StartGenerate(const WorkerHandle& worker,
                                            const v1::GenerateRequest& request,
                                            const CallOptions& options,
                                            GenerateCallbacks callbacks);

// The same on a worker that is picked by `request.model()`, and on another one if the first is gone
// before any message came: see retrying_call.h. An error, without any callback, is what
// WorkerPool::Pick returned.
absl::StatusOr<std::shared_ptr<GenerateCall>> StartGenerateWithRetry(
    WorkerPool& workers, const v1::GenerateRequest& request, const CallOptions& options,
    GenerateCallbacks callbacks);

// Unary calls, likewise: `on_done` runs once. An error, without it, is what WorkerPool::Pick
// returned.
absl::Status StartTokenize(WorkerPool& workers, const v1::TokenizeRequest& request,
                           const CallOptions& options,
                           std::function<void(absl::StatusOr<v1::TokenizeResponse>)> on_done);
absl::Status StartDetokenize(WorkerPool& workers, const v1::DetokenizeRequest& request,
                             const CallOptions& options,
                             std::function<void(absl::StatusOr<v1::DetokenizeResponse>)> on_done);

// Waits until no call that this process started is running any more: before what the callbacks use
// is destroyed. False after `timeout`.
bool WaitForCalls(absl::Duration timeout);

}  // namespace skein
