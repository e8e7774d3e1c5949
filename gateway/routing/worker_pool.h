// Which worker serves a request: round robin over those that are ready and have the model.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "skein/v1/workers.pb.h"

namespace grpc {
class Channel;
class ChannelCredentials;
}  // namespace grpc

namespace skein {

// What is known of a request before it has a worker.
struct PickRequest {
  std::string model = {};  // may be empty while exactly one model is served
  // Requests of one key go to one worker where its load allows; empty: to any.
  std::string affinity_key = {};
  std::vector<std::string> entries = {};  // states and adapters that the request names
  std::vector<std::string> avoid = {};    // addresses of workers that have just failed
  int sequences = 1;                      // choices: what the request adds to a worker's load
};

// One call to a worker, from Pick to its end. Thread-safe.
class WorkerLease {
 public:
  virtual ~WorkerLease() = default;
  // The call has brought its first message.
  virtual void Answered() = 0;
  // The call has ended; only the first report counts.
  virtual void Report(const absl::Status& outcome) = 0;
};

// A worker that was ready when it was picked. Holding one keeps its channel alive. The pool holds
// it too, and goes last: gRPC 1.51 frees a channel twice when its last reference is dropped on one
// of gRPC's own threads.
//
// Copies share one lease. The call counts as in flight until it is reported, or the last copy is
// gone.
struct WorkerHandle {
  std::string address;
  std::shared_ptr<grpc::Channel> channel;
  std::shared_ptr<WorkerLease> lease = nullptr;  // null: a worker that no pool has picked

  void Answered() const {
    if (lease != nullptr) lease->Answered();
  }
  void Report(const absl::Status& outcome) const {
    if (lease != nullptr) lease->Report(outcome);
  }
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
  // TLS to the workers; null: plain. The name to expect in their certificates, if it is not the one
  // in their addresses.
  std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr;
  std::string server_name = {};
};

// Thread-safe. Keeps a WatchLoad stream and the model list of every worker, reconnecting by itself.
class WorkerPool {
 public:
  // Starts connecting; no worker needs to be there yet.
  explicit WorkerPool(const std::vector<std::string>& addresses, WorkerPoolOptions options = {});
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // NotFound if no connected worker has the model; Unavailable if none is connected, or those that
  // have it are draining, loading or to be avoided.
  absl::StatusOr<WorkerHandle> Pick(const PickRequest& request);
  // Ready models over all workers, each once, by name.
  std::vector<v1::ModelInfo> Models() const;
  // At least one worker is ready to serve a model.
  bool Ready() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skein
