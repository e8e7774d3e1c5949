#include "gateway/routing/worker_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include <pthread.h>

#include "absl/time/clock.h"
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "common/base/status_macros.h"
#include "gateway/routing/routing_table.h"
#include "gateway/routing/worker_watch.h"

namespace skein {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(3);

std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address,
                                           const WorkerPoolOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(options.first_retry)));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(options.last_retry)));
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(kConnectTimeout)));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(options.ping)));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(options.ping_timeout)));
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // no limit
  // Two pools in a process, as tests have, must not share their waits.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(-1);  // log-probabilities of a long prompt
  if (!options.server_name.empty()) arguments.SetSslTargetNameOverride(options.server_name);
  return grpc::CreateCustomChannel(
      address,
      options.credentials == nullptr ? grpc::InsecureChannelCredentials() : options.credentials,
      arguments);
}

// Counts in the table, which it keeps: a handle may outlive the pool.
class TableLease final : public WorkerLease {
 public:
  TableLease(std::shared_ptr<RoutingTable> table, size_t worker_index, int sequences)
      : table_(std::move(table)), worker_index_(worker_index), sequences_(sequences) {
    table_->AddInFlight(worker_index_, sequences_);
  }
  ~TableLease() override { End(); }

  void Answered() override {}
  void Report(const absl::Status&) override { End(); }

 private:
  void End() {
    if (!ended_.exchange(true)) table_->AddInFlight(worker_index_, -sequences_);
  }

  const std::shared_ptr<RoutingTable> table_;
  const size_t worker_index_;
  const int sequences_;
  std::atomic<bool> ended_{false};
};

}  // namespace

class WorkerPool::Impl {
 public:
  Impl(const std::vector<std::string>& addresses, WorkerPoolOptions options)
      : options_(std::move(options)), table_(std::make_shared<RoutingTable>(addresses)) {
    for (size_t i = 0; i < addresses.size(); ++i) {
      watches_.push_back(std::make_unique<WorkerWatch>(
          addresses[i], OpenChannel(addresses[i], options_), options_, EventsOf(i)));
    }
    thread_ = std::thread([this] { Run(); });
  }

  ~Impl() {
    {
      const std::lock_guard<std::mutex> lock(mu_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
    for (const auto& watch : watches_) watch->Stop();
  }

  absl::StatusOr<WorkerHandle> Pick(const PickRequest& request) {
    ASSIGN_OR_RETURN(const size_t index, table_->Pick(request.model, request.avoid));
    return WorkerHandle{watches_[index]->address(), watches_[index]->channel(),
                        std::make_shared<TableLease>(table_, index, request.sequences)};
  }

  const RoutingTable& table() const { return *table_; }

 private:
  WatchEvents EventsOf(size_t worker_index) {
    WatchEvents events;
    events.on_load = [this, worker_index](const v1::WorkerLoad& load) {
      table_->SetLoad(worker_index, load);
      TellReadyWorkers();
    };
    events.on_models = [this, worker_index](const v1::ListModelsResponse& models) {
      table_->SetModels(worker_index, models);
      TellReadyWorkers();
    };
    events.on_down = [this, worker_index] {
      table_->SetDown(worker_index);
      TellReadyWorkers();
    };
    events.wake = [this] {
      const std::lock_guard<std::mutex> lock(mu_);
      woken_ = true;
      changed_.notify_all();
    };
    return events;
  }

  void TellReadyWorkers() {
    if (!options_.on_ready_workers) return;
    const std::lock_guard<std::mutex> lock(told_mu_);
    const int num_ready = table_->NumReady();
    if (num_ready != told_) options_.on_ready_workers(num_ready);
    told_ = num_ready;
  }

  void Run() {
    pthread_setname_np(pthread_self(), "skein-pool");
    std::unique_lock<std::mutex> lock(mu_);
    while (!stopping_) {
      woken_ = false;
      lock.unlock();
      absl::Time next = absl::Now() + absl::Seconds(1);
      for (const auto& watch : watches_) next = std::min(next, watch->Poll(absl::Now()));
      lock.lock();
      changed_.wait_until(lock, absl::ToChronoTime(next), [this] { return woken_ || stopping_; });
    }
  }

  const WorkerPoolOptions options_;
  const std::shared_ptr<RoutingTable> table_;

  std::mutex told_mu_;
  int told_ = 0;  // guarded by told_mu_

  std::mutex mu_;
  std::condition_variable changed_;
  bool woken_ = false;     // guarded by mu_
  bool stopping_ = false;  // guarded by mu_

  std::vector<std::unique_ptr<WorkerWatch>> watches_;  // constant after construction
  std::thread thread_;
};

WorkerPool::WorkerPool(const std::vector<std::string>& addresses, WorkerPoolOptions options)
    : impl_(std::make_unique<Impl>(addresses, std::move(options))) {}

WorkerPool::~WorkerPool() = default;

absl::StatusOr<WorkerHandle> WorkerPool::Pick(const PickRequest& request) {
  return impl_->Pick(request);
}

std::vector<v1::ModelInfo> WorkerPool::Models() const { return impl_->table().Models(); }

bool WorkerPool::Ready() const { return impl_->table().NumReady() > 0; }

}  // namespace skein
