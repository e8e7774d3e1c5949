// What all calls to workers have in common: metadata and deadline out, status back, and a count of
// those that run.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include "gateway/rpc/inference_client.h"

namespace skein {

// Before a call is sent to `worker`.
void PrepareContext(const CallOptions& options, const WorkerHandle& worker,
                    grpc::ClientContext& context);

// Codes are the same numbers; an unknown one becomes Unknown. RetryInfo becomes RetryAfterOf.
absl::Status FromGrpc(const grpc::Status& status);
grpc::Status ToGrpc(const absl::Status& status);

// The end of a call for those who do not operate the workers. What the worker said stays as it is;
// for what gRPC says of the connection, with addresses in it, there are fixed words of the same
// code, and a log line has the rest. `context` is the call's, which has ended.
grpc::Status EndForClients(const grpc::Status& status, const grpc::ClientContext& context,
                           const CallOptions& options, const WorkerHandle& worker);

// Lives as long as a call, its last callback included: WaitForCalls waits for it.
class RunningCall {
 public:
  RunningCall();
  ~RunningCall();
  RunningCall(const RunningCall&) = delete;
  RunningCall& operator=(const RunningCall&) = delete;
};

}  // namespace skein
