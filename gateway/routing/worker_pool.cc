#include "gateway/routing/worker_pool.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include <pthread.h>

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/config/worker_source.h"
#include "gateway/routing/awaited_conditions.h"
#include "gateway/routing/entry_watch.h"
#include "gateway/routing/retry_budget.h"
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
  // A call's window stays at 64 KiB, what a worker may send of a call that nobody reads. With
  // probes for bandwidth gRPC widens it to megabytes.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
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

RoutingTableOptions TableOptions(const WorkerPoolOptions& options) {
  RoutingTableOptions table;
  table.load_bound = options.load_bound;
  table.ejection = options.ejection;
  table.stall_after = options.silence;
  table.clock = options.clock;
  table.entries = options.entries;
  table.metrics = options.metrics;
  return table;
}

std::vector<WorkerSource> ParseSources(const std::vector<std::string>& texts) {
  std::vector<WorkerSource> sources;
  for (const std::string& text : texts) {
    absl::StatusOr<WorkerSource> source = ParseWorkerSource(text);
    SKEIN_CHECK(source.ok());
    sources.push_back(*std::move(source));
  }
  return sources;
}

}  // namespace

class WorkerPool::Impl {
 public:
  Impl(const std::vector<std::string>& sources, WorkerPoolOptions options)
      : options_(std::move(options)),
        table_(std::make_shared<RoutingTable>(TableOptions(options_))),
        budget_(options_.retry_budget_percent),
        discovery_(std::make_unique<WorkerDiscovery>(
            ParseSources(sources), options_.discovery,
            [this](const std::set<std::string>& addresses) { Want(addresses); })),
        thread_([this] { Run(); }) {}

  ~Impl() {
    discovery_.reset();
    {
      const std::lock_guard<std::mutex> lock(mu_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
    for (auto& [address, member] : members_) member.Stop();
  }

  absl::StatusOr<WorkerHandle> Pick(const PickRequest& request) {
    budget_.OnRequest();
    return PickOne(request);
  }

  absl::StatusOr<WorkerHandle> PickAgain(const PickRequest& request) {
    absl::StatusOr<WorkerHandle> worker = PickOne(request);
    if (!worker.ok()) {
      CountRetry("exhausted");
    } else if (!budget_.TakeRetry()) {
      CountRetry("budget");
      return absl::ResourceExhaustedError("too many calls were tried again of late");
    } else {
      CountRetry("retried");
    }
    return worker;
  }

  absl::StatusOr<std::vector<WorkerHandle>> PickAll(const std::string& model) {
    ASSIGN_OR_RETURN(const std::vector<PickedWorker> all, table_->PickAll(model));
    return HandlesOf(all);
  }

  absl::StatusOr<std::vector<WorkerHandle>> PickConnected() {
    return HandlesOf(table_->PickConnected());
  }

  void Await(std::function<bool()> condition, absl::Duration timeout,
             std::function<void(bool)> done) {
    awaited_.Add(std::move(condition), options_.clock->Steady() + timeout, std::move(done));
    Wake();
  }

  const RoutingTable& table() const { return *table_; }
  EntryTable& entries() const { return table_->entries(); }

  void Touch(const std::vector<std::string>& addresses) {
    entries().Touch(addresses);
    Wake();
  }

 private:
  struct Member {
    uint64_t number = 0;  // in the table
    std::unique_ptr<WorkerWatch> watch;
    std::unique_ptr<EntryWatch> entry_watch;

    void Stop() const {
      watch->Stop();
      entry_watch->Stop();
    }
  };

  absl::StatusOr<WorkerHandle> PickOne(const PickRequest& request) {
    while (true) {
      ASSIGN_OR_RETURN(const PickedWorker picked, table_->Pick(request));
      std::optional<WorkerHandle> handle = HandleOf(picked);
      if (handle.has_value()) return *std::move(handle);
    }
  }

  // None if the worker has just been removed.
  std::optional<WorkerHandle> HandleOf(const PickedWorker& picked) {
    auto lease = std::make_shared<WorkerLease>(table_, picked.call);
    const std::lock_guard<std::mutex> lock(mu_);
    const auto member = members_.find(picked.address);
    if (member == members_.end() || member->second.number != picked.worker) return std::nullopt;
    return WorkerHandle{picked.address, member->second.watch->channel(), std::move(lease)};
  }

  absl::StatusOr<std::vector<WorkerHandle>> HandlesOf(const std::vector<PickedWorker>& all) {
    std::vector<WorkerHandle> workers;
    for (const PickedWorker& picked : all) {
      if (std::optional<WorkerHandle> handle = HandleOf(picked)) {
        workers.push_back(*std::move(handle));
      }
    }
    if (workers.empty()) return absl::UnavailableError("no worker is connected");
    return workers;
  }

  void CountRetry(const char* outcome) {
    if (options_.metrics != nullptr) options_.metrics->CountRetry(outcome);
  }

  void Want(const std::set<std::string>& addresses) {
    const std::lock_guard<std::mutex> lock(mu_);
    wanted_ = addresses;
    woken_ = true;
    changed_.notify_all();
  }

  void Wake() {
    const std::lock_guard<std::mutex> lock(mu_);
    woken_ = true;
    changed_.notify_all();
  }

  WatchEvents EventsOf(uint64_t number) {
    WatchEvents events;
    events.on_load = [this, number](const v1::WorkerLoad& load) {
      if (table_->SetLoad(number, load)) ShowStates();
      if (!entries().ListDue(number, options_.clock->Steady()).empty()) Wake();
    };
    events.on_models = [this, number](const v1::ListModelsResponse& models) {
      if (table_->SetModels(number, models)) ShowStates();
    };
    events.on_down = [this, number] {
      if (table_->SetDown(number)) ShowStates();
    };
    events.on_silent = [this, number] {
      if (options_.metrics != nullptr) options_.metrics->CountEjection("silence");
      if (table_->SetDown(number)) ShowStates();
    };
    events.wake = [this] { Wake(); };
    return events;
  }

  void ShowStates() {
    if (options_.metrics == nullptr) return;
    const std::lock_guard<std::mutex> lock(shown_mu_);
    for (const auto& [state, count] : table_->States()) {
      options_.metrics->SetWorkers(WorkerStateName(state), count);
    }
    options_.metrics->ready_workers.Set(table_->NumReady());
    options_.metrics->SetReadyWorkers(table_->NumReadyByModel());
  }

  void ShowDifferences() {
    std::vector<std::string> conflicts;
    const std::map<std::string, RegistryDifferences> differences =
        entries().Differences(options_.clock->Steady(), conflicts);
    for (const std::string& conflict : conflicts) {
      LogError("workers have different contents under one name", {{"entry", conflict}});
    }
    if (options_.metrics != nullptr) options_.metrics->SetRegistryDifferences(differences);
  }

  void Run() {
    pthread_setname_np(pthread_self(), "skein-pool");
    std::unique_lock<std::mutex> lock(mu_);
    while (!stopping_) {
      woken_ = false;
      const std::set<std::string> wanted = wanted_;
      lock.unlock();
      Apply(wanted);
      DropUnusedChannels();
      const absl::Time now = options_.clock->Steady();
      absl::Time next = now + WorkerWatch::kMaxPollWait;
      for (const auto& [address, member] : members_) {
        next = std::min(next, member.watch->Poll(options_.clock->Steady()));
        member.entry_watch->Poll(options_.clock->Steady());
      }
      next = std::min(next, awaited_.Poll(options_.clock->Steady()));
      ShowStates();  // time alone changes them, too
      ShowDifferences();
      lock.lock();
      changed_.wait_for(lock, absl::ToChronoNanoseconds(next - now),
                        [this] { return woken_ || stopping_; });
    }
  }

  void Apply(const std::set<std::string>& wanted) {
    std::vector<std::string> unwanted;
    for (const auto& [address, member] : members_) {
      if (wanted.count(address) == 0) unwanted.push_back(address);
    }
    for (const std::string& address : wanted) {
      if (members_.count(address) == 0) Add(address);
    }
    for (const std::string& address : unwanted) Remove(address);
  }

  void Add(const std::string& address) {
    Member member;
    member.number = table_->Add(address);
    const std::shared_ptr<grpc::Channel> channel = OpenChannel(address, options_);
    member.watch =
        std::make_unique<WorkerWatch>(address, channel, options_, EventsOf(member.number));
    EntryWatchOptions entry_options;
    entry_options.list_timeout = options_.refresh;
    entry_options.clock = options_.clock;
    entry_options.metrics = options_.metrics;
    member.entry_watch = std::make_unique<EntryWatch>(member.number, address, channel, entries(),
                                                      entry_options, [this] { Wake(); });
    const std::lock_guard<std::mutex> lock(mu_);
    members_[address] = std::move(member);
  }

  // No request is sent there any more; what runs there keeps its channel.
  void Remove(const std::string& address) {
    Member member;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      member = std::move(members_.extract(address).mapped());
    }
    table_->Remove(member.number);
    member.Stop();
    unused_.push_back(member.watch->channel());
    LogInfo("worker removed", {{"worker", address}});
  }

  // Calls let go of a channel on gRPC's threads, which must not be the last to do so.
  void DropUnusedChannels() {
    std::erase_if(unused_, [](const std::shared_ptr<grpc::Channel>& channel) {
      return channel.use_count() == 1;
    });
  }

  const WorkerPoolOptions options_;
  const std::shared_ptr<RoutingTable> table_;
  RetryBudget budget_;
  std::mutex shown_mu_;  // so that an older count never comes after a newer one
  AwaitedConditions awaited_;

  std::mutex mu_;
  std::condition_variable changed_;
  std::set<std::string> wanted_;           // guarded by mu_
  bool woken_ = false;                     // guarded by mu_
  bool stopping_ = false;                  // guarded by mu_
  std::map<std::string, Member> members_;  // by address; changed by thread_ with mu_ held
  std::vector<std::shared_ptr<grpc::Channel>> unused_;  // of thread_: of workers that were removed

  std::unique_ptr<WorkerDiscovery> discovery_;
  std::thread thread_;
};

WorkerPool::WorkerPool(const std::vector<std::string>& sources, WorkerPoolOptions options)
    : impl_(std::make_unique<Impl>(sources, std::move(options))) {}

WorkerPool::~WorkerPool() = default;

absl::StatusOr<WorkerHandle> WorkerPool::Pick(const PickRequest& request) {
  return impl_->Pick(request);
}

absl::StatusOr<WorkerHandle> WorkerPool::PickAgain(const PickRequest& request) {
  return impl_->PickAgain(request);
}

absl::StatusOr<std::vector<WorkerHandle>> WorkerPool::PickAll(const std::string& model) {
  return impl_->PickAll(model);
}

absl::StatusOr<std::vector<WorkerHandle>> WorkerPool::PickConnected() {
  return impl_->PickConnected();
}

int WorkerPool::NumServing(const std::string& model,
                           const std::vector<std::string>& addresses) const {
  return impl_->table().NumServing(model, {addresses.begin(), addresses.end()});
}

void WorkerPool::Await(std::function<bool()> condition, absl::Duration timeout,
                       std::function<void(bool)> done) {
  impl_->Await(std::move(condition), timeout, std::move(done));
}

std::vector<v1::ModelInfo> WorkerPool::Models() const { return impl_->table().Models(); }

std::vector<ModelEntry> WorkerPool::Entries(const std::string& model) const {
  return impl_->entries().Entries(model);
}

Holding WorkerPool::Has(const std::string& model, const std::string& name) const {
  return impl_->entries().Has(model, name);
}

v1::EntryKind WorkerPool::KindOf(const std::string& model, const std::string& name) const {
  return impl_->entries().KindOf(model, name);
}

bool WorkerPool::AreListed(const std::string& model,
                           const std::vector<std::string>& addresses) const {
  return impl_->entries().AreCurrent(model, {addresses.begin(), addresses.end()});
}

void WorkerPool::Touch(const std::vector<std::string>& addresses) { impl_->Touch(addresses); }

bool WorkerPool::Ready() const { return impl_->table().NumReady() > 0; }

std::map<WorkerState, int> WorkerPool::States() const { return impl_->table().States(); }

}  // namespace skein
