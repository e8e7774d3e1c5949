// Keeps the entry table's knowledge of one worker current: asks for its lists when they are due,
// and makes the changes that bring a new worker up to its peers.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include <grpcpp/channel.h>

#include "common/base/clock.h"
#include "gateway/metrics.h"
#include "gateway/routing/entry_table.h"
#include "skein/v1/registry.grpc.pb.h"

namespace skein {

struct EntryWatchOptions {
  absl::Duration list_timeout = absl::Seconds(5);
  absl::Duration change_timeout = absl::Minutes(2);  // a state may be a large file
  const Clock* clock = &Clock::Real();
  GatewayMetrics* metrics = nullptr;  // may be null
};

// At most one list and one change at a time. Thread-safe. Calls follow: Poll*, Stop, destruction.
class EntryWatch {
 public:
  // `worker` is its number in `table`. `wake` asks for an early Poll, on gRPC threads.
  EntryWatch(uint64_t worker, std::string address, std::shared_ptr<grpc::Channel> channel,
             EntryTable& table, EntryWatchOptions options, std::function<void()> wake);

  // Starts what is due. `now` is steady.
  void Poll(absl::Time now);
  // Cancels what runs and waits until gRPC has let go of it: nothing is told afterwards.
  void Stop();

 private:
  struct OpenCall;

  void Ask(const std::string& model);
  void Change(const EntryChange& change);
  void OnNoList(const std::string& model, const absl::Status& why);
  void OnChanged(const EntryChange& change, const absl::Status& outcome);
  void Tell(const EntryChange& change, const absl::Status& outcome) const;
  // False if the watch stops.
  bool Enter(std::shared_ptr<OpenCall>& slot, const std::shared_ptr<OpenCall>& call);
  void Leave(std::shared_ptr<OpenCall>& slot);

  const uint64_t worker_;
  const std::string address_;
  EntryTable& table_;
  const EntryWatchOptions options_;
  const std::function<void()> wake_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::RegistryService::Stub> stub_;

  std::mutex mu_;
  std::condition_variable call_gone_;
  // Guarded by mu_.
  std::shared_ptr<OpenCall> list_;    // null while there is none
  std::shared_ptr<OpenCall> change_;  // null while there is none
  int num_calls_ = 0;                 // started and not gone
  bool stopping_ = false;
};

}  // namespace skein
