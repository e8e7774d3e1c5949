// Which worker serves a request: round robin over those that are ready and have the model.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "skein/v1/workers.pb.h"

namespace grpc {
class Channel;
}

namespace skein {

// A worker that was ready when it was picked. Holding one keeps its channel alive. The pool holds
// it too, and goes last: gRPC 1.51 frees a channel twice when its last reference is dropped on one
// of gRPC's own threads.
struct WorkerHandle {
  std::string address;
  std::shared_ptr<grpc::Channel> channel;
};

struct WorkerPoolOptions {
  // Between attempts to reach a worker: the first wait, doubled up to the last.
  absl::Duration first_retry = absl::Milliseconds(50);
  absl::Duration last_retry = absl::Seconds(2);
  // Model lists are asked for again so often; a worker that does not answer in that time is gone.
  absl::Duration refresh = absl::Seconds(5);
  // A connection that is silent for `ping` is pinged; without an answer in `ping_timeout` it is
  // broken, and its calls end with Unavailable: a machine that vanished says nothing.
  absl::Duration ping = absl::Seconds(10);
  absl::Duration ping_timeout = absl::Seconds(20);
  // Told how many workers are ready, whenever that changes. One call at a time; must not call the
  // pool.
  std::function<void(int)> on_ready_workers = nullptr;
};

// Thread-safe. Keeps a WatchLoad stream and the model list of every worker, reconnecting by itself.
class WorkerPool {
 public:
  // Starts connecting; no worker needs to be there yet.
  explicit WorkerPool(const std::vector<std::string>& addresses, WorkerPoolOptions options = {});
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // NotFound if no connected worker has `model`; Unavailable if none is connected, or those that
  // have it are draining or loading. An empty name is allowed while exactly one model is served.
  // `avoid` is the address of a worker that has just failed, which is not picked.
  absl::StatusOr<WorkerHandle> Pick(absl::string_view model, absl::string_view avoid = "");
  // Ready models over all workers, each once, by name.
  std::vector<v1::ModelInfo> Models() const;
  // At least one worker is ready to serve a model.
  bool Ready() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skein
