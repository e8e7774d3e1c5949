// A call on whichever worker the pool picks, moved to another one if the first turns out to be
// gone.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "gateway/routing/worker_pool.h"
#include "gateway/rpc/byte_call.h"

namespace skein {

// A call, not yet started, on a worker that is picked now. It is tried again on another worker, at
// most twice, if it fails before any message came, because its worker is gone (Unavailable) or full
// (ResourceExhausted, if another one has a free slot), and the pool's budget of retries allows it;
// the callbacks see one call. An error, without any callback, is what WorkerPool::Pick returned.
// `workers` outlives the call.
absl::StatusOr<std::shared_ptr<ByteCall>> MakeRetryingCall(WorkerPool& workers, PickRequest pick,
                                                           ByteRequest request,
                                                           const CallOptions& options,
                                                           ByteCallbacks callbacks);

}  // namespace skein
