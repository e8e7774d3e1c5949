// One request to several workers at once: how what they have registered is changed.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include "gateway/routing/worker_pool.h"
#include "gateway/rpc/byte_call.h"
#include "gateway/rpc/inference_client.h"

namespace skein {

// What one worker made of it.
struct WorkerOutcome {
  std::string worker;
  grpc::Status status = {};
  grpc::ByteBuffer answer = {};
};

// OK if all took it. If all refused it with one code, that code; if some took it, Aborted. The
// message says who did what, unless all say the same: then it is theirs.
grpc::Status SumUp(const std::vector<WorkerOutcome>& outcomes);

// Thread-safe. A started call keeps itself until `on_done` has returned.
class CallAll : public std::enable_shared_from_this<CallAll> {
 public:
  using Done = std::function<void(std::vector<WorkerOutcome>& outcomes)>;  // once

  // `pool`, which outlives the call, is told that the workers have changed.
  CallAll(WorkerPool& pool, const std::vector<WorkerHandle>& workers, Done on_done);

  // Once. `on_done` may run before it returns.
  void Start(const ByteRequest& request, const CallOptions& options);
  // Workers that have taken the request keep it. After Start.
  void Cancel();

 private:
  void OnMessage(size_t index, grpc::ByteBuffer& message);
  void OnWorkerDone(size_t index, const grpc::Status& status);

  WorkerPool& pool_;
  const std::vector<WorkerHandle> workers_;
  Done on_done_;
  std::vector<std::shared_ptr<ByteCall>> calls_;  // constant once they are started

  std::mutex mu_;
  // Guarded by mu_.
  std::vector<WorkerOutcome> outcomes_;
  size_t num_open_;
};

}  // namespace skein
