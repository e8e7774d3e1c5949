// What a request is picked a worker by, and the worker that it gets.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace grpc {
class Channel;
}

namespace skein {

class RoutingTable;

// What is known of a request before it has a worker.
struct PickRequest {
  std::string model = {};  // may be empty while exactly one model is served
  // Requests of one key go to one worker where its load allows; empty: to any.
  std::string affinity_key = {};
  std::vector<std::string> entries = {};  // states and adapters that the request names
  std::vector<std::string> avoid = {};    // addresses of workers that have just failed
  // Choices: what the request adds to a worker's load. 0 for one that takes no step: it shows
  // nothing of the worker but that it fails.
  int sequences = 1;
  bool needs_free_slot = false;  // only where it would not have to wait
};

// One call to a worker, from Pick to its end. Thread-safe. May outlive the pool.
class WorkerLease {
 public:
  WorkerLease(std::shared_ptr<RoutingTable> table, uint64_t call);
  ~WorkerLease();  // without a report: nothing is learnt of the worker
  WorkerLease(const WorkerLease&) = delete;
  WorkerLease& operator=(const WorkerLease&) = delete;

  // The call has brought its first message.
  void Answered();
  // The call has ended; only the first report counts.
  void Report(const absl::Status& outcome);

 private:
  const std::shared_ptr<RoutingTable> table_;
  const uint64_t call_;
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

}  // namespace skein
