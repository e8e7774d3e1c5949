// Which worker serves a request: round robin over those that are ready and have the model.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "skein/v1/workers.pb.h"

namespace grpc {
class Channel;
}

namespace skein {

// A worker that was ready when it was picked. Holding one keeps its channel alive.
struct WorkerHandle {
  std::string address;
  std::shared_ptr<grpc::Channel> channel;
};

// Thread-safe. Keeps a WatchLoad stream and the model list of every worker, reconnecting by itself.
class WorkerPool {
 public:
  // Starts connecting; no worker needs to be there yet.
  explicit WorkerPool(const std::vector<std::string>& addresses);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // NotFound if no connected worker has `model`; Unavailable if none is connected, or those that have it are draining
  // or loading. An empty name is allowed while exactly one model is served.
  absl::StatusOr<WorkerHandle> Pick(absl::string_view model);
  // Ready models over all workers, each once, by name.
  std::vector<v1::ModelInfo> Models() const;
  // At least one worker is ready to serve a model.
  bool Ready() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skein
