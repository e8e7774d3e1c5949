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

// Lives as long as a call, its last callback included: WaitForCalls waits for it.
class RunningCall {
 public:
  RunningCall();
  ~RunningCall();
  RunningCall(const RunningCall&) = delete;
  RunningCall& operator=(const RunningCall&) = delete;
};

}  // namespace skein
