// Watches one worker: a WatchLoad stream that is opened again whenever it breaks, and its model
// list.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include <grpcpp/channel.h>

#include "gateway/routing/worker_pool.h"
#include "skein/v1/workers.grpc.pb.h"
#include "skein/v1/workers.pb.h"

namespace skein {

// What a watch finds out, on gRPC threads. `wake` asks for an early Poll.
struct WatchEvents {
  std::function<void(const v1::WorkerLoad&)> on_load;
  std::function<void(const v1::ListModelsResponse&)> on_models;
  std::function<void()> on_down;
  std::function<void()> on_silent;  // on_down follows
  std::function<void()> wake;
};

// Thread-safe. Calls follow: Poll*, Stop, destruction.
class WorkerWatch {
 public:
  static constexpr absl::Duration kMaxPollWait = absl::Seconds(1);

  WorkerWatch(std::string address, std::shared_ptr<grpc::Channel> channel,
              const WorkerPoolOptions& options, WatchEvents events);

  // Starts what is due and returns when to call again at the latest, which is never later than
  // kMaxPollWait. All times are of Clock::Steady.
  absl::Time Poll(absl::Time now);
  // Cancels what runs and waits until gRPC has let go of it: no event comes afterwards.
  void Stop();

  const std::string& address() const { return address_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  class LoadStream;
  struct ListCall;

  std::shared_ptr<LoadStream> SilentStreamLocked(absl::Time now);
  void AskForModels(const std::shared_ptr<ListCall>& call);
  // The calls' callbacks.
  void OnLoad(const v1::WorkerLoad& load);
  void OnStreamEnd(std::shared_ptr<LoadStream> stream, const absl::Status& status);
  void OnModels(std::shared_ptr<ListCall> call, const absl::Status& status);
  // The last thing that a call does: nothing of it is left on gRPC's thread.
  void CallGone();

  const std::string address_;
  const std::shared_ptr<grpc::Channel> channel_;
  const WorkerPoolOptions options_;
  const WatchEvents events_;
  const std::unique_ptr<v1::WorkerService::Stub> stub_;

  std::mutex mu_;
  std::condition_variable call_gone_;
  // Guarded by mu_.
  std::shared_ptr<LoadStream> stream_;  // null while there is none
  std::shared_ptr<ListCall> list_call_;
  bool connected_ = false;   // the stream has brought a load
  bool heartbeats_ = false;  // and its worker sends heartbeats
  absl::Time last_load_ = absl::InfinitePast();
  absl::Time last_poll_ = absl::InfinitePast();
  bool stopping_ = false;
  int num_calls_ = 0;            // started and not gone
  bool models_changed_ = false;  // the last load named other models than the one before
  std::string ready_models_;     // of the last load
  int missed_lists_ = 0;         // model lists that did not come, in a row
  absl::Duration retry_delay_;
  absl::Time next_stream_ = absl::InfinitePast();
  absl::Time next_list_ = absl::InfinitePast();
};

}  // namespace skein
