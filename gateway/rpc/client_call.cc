#include "gateway/rpc/client_call.h"

#include <condition_variable>
#include <mutex>

#include "absl/time/clock.h"

namespace skein {
namespace {

struct RunningCalls {
  std::mutex mu;
  std::condition_variable changed;
  int count = 0;  // guarded by mu
};

// Never destroyed: a call may outlive main's objects.
RunningCalls& Running() {
  static RunningCalls& running = *new RunningCalls;
  return running;
}

}  // namespace

void PrepareContext(const CallOptions& options, grpc::ClientContext& context) {
  if (!options.request_id.empty()) context.AddMetadata("x-request-id", options.request_id);
  if (!options.traceparent.empty()) context.AddMetadata("traceparent", options.traceparent);
  if (options.deadline != absl::InfiniteFuture()) {
    context.set_deadline(absl::ToChronoTime(options.deadline));
  }
}

absl::Status FromGrpc(const grpc::Status& status) {
  const int code = status.error_code();
  if (code < 0 || code > static_cast<int>(grpc::StatusCode::UNAUTHENTICATED)) {
    return absl::UnknownError(status.error_message());
  }
  return absl::Status(static_cast<absl::StatusCode>(code), status.error_message());
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

RunningCall::RunningCall() {
  const std::lock_guard<std::mutex> lock(Running().mu);
  ++Running().count;
}

RunningCall::~RunningCall() {
  const std::lock_guard<std::mutex> lock(Running().mu);
  --Running().count;
  Running().changed.notify_all();
}

bool WaitForCalls(absl::Duration timeout) {
  std::unique_lock<std::mutex> lock(Running().mu);
  return Running().changed.wait_until(lock, absl::ToChronoTime(absl::Now() + timeout),
                                      [] { return Running().count == 0; });
}

}  // namespace skein
