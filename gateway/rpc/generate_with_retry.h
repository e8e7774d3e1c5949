// A Generate call on whichever worker the pool picks, moved to another one if the first turns out
// to be gone.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "gateway/routing/worker_pool.h"
#include "gateway/rpc/inference_client.h"
#include "skein/v1/inference.pb.h"

namespace skein {

// Picks a worker by `request.model()` and starts the call there. If the call fails with Unavailable
// before any message came, it is started once more on another worker, if there is one; the
// callbacks see one call. An error, without any callback, is what WorkerPool::Pick returned.
// `workers` outlives the call. Cancel is safe at any time.
absl::StatusOr<std::shared_ptr<GenerateCall>> StartGenerateWithRetry(WorkerPool& workers,
                                                                     v1::GenerateRequest request,
                                                                     const CallOptions& options,
                                                                     GenerateCallbacks callbacks);

}  // namespace skein
