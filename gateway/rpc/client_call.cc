#include "gateway/rpc/client_call.h"

#include <condition_variable>
#include <mutex>
#include <optional>

#include "absl/strings/match.h"

#include "common/base/log.h"
#include "common/base/retry_after.h"
#include "skein/v1/error_details.pb.h"

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

void PrepareContext(const CallOptions& options, const WorkerHandle& worker,
                    grpc::ClientContext& context) {
  if (options.on_worker) options.on_worker(worker.address);
  if (!options.request_id.empty()) context.AddMetadata("x-request-id", options.request_id);
  if (!options.traceparent.empty()) context.AddMetadata("traceparent", options.traceparent);
  if (options.deadline != absl::InfiniteFuture()) {
    context.set_deadline(absl::ToChronoTime(options.deadline));
  }
}

namespace {

std::optional<absl::Duration> RetryDelayIn(const grpc::Status& status) {
  v1::StatusDetails details;
  if (status.error_details().empty() || !details.ParseFromString(status.error_details())) {
    return std::nullopt;
  }
  for (const google::protobuf::Any& any : details.details()) {
    v1::RetryInfo info;
    if (!absl::EndsWith(any.type_url(), "/google.rpc.RetryInfo")) continue;
    if (!info.ParseFromString(any.value())) return std::nullopt;
    return absl::Seconds(info.retry_delay().seconds()) +
           absl::Nanoseconds(info.retry_delay().nanos());
  }
  return std::nullopt;
}

}  // namespace

absl::Status FromGrpc(const grpc::Status& status) {
  const int code = status.error_code();
  if (code < 0 || code > static_cast<int>(grpc::StatusCode::UNAUTHENTICATED)) {
    return absl::UnknownError(status.error_message());
  }
  const absl::Status error(static_cast<absl::StatusCode>(code), status.error_message());
  const std::optional<absl::Duration> delay = RetryDelayIn(status);
  return delay.has_value() ? WithRetryAfter(error, *delay) : error;
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

namespace {

// In what gRPC knows of an error, if it came from the other side. Its only way to tell.
constexpr char kFromPeer[] = "Error received from peer";

const char* TransportWords(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::UNAVAILABLE:
      return "the connection to the worker failed";
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return "the deadline has passed";
    case grpc::StatusCode::CANCELLED:
      return "the call was cancelled";
    default:
      return "the call to the worker failed";
  }
}

}  // namespace

grpc::Status EndForClients(const grpc::Status& status, const grpc::ClientContext& context,
                           const CallOptions& options, const WorkerHandle& worker) {
  if (status.ok() || absl::StrContains(context.debug_error_string(), kFromPeer)) return status;
  const grpc::StatusCode code = status.error_code();
  if (code != grpc::StatusCode::CANCELLED && code != grpc::StatusCode::DEADLINE_EXCEEDED) {
    LogWarning("call to worker failed", {{"request", options.request_id},
                                         {"worker", worker.address},
                                         {"reason", FromGrpc(status).ToString()}});
  }
  return grpc::Status(code, TransportWords(code));
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
  return Running().changed.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                                    [] { return Running().count == 0; });
}

}  // namespace skein
