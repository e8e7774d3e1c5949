// What is known of the workers, and which of them serves a request. No gRPC calls: who asks the
// workers tells the table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/base/clock.h"
#include "gateway/metrics.h"
#include "gateway/routing/ejection.h"
#include "gateway/routing/entry_table.h"
#include "gateway/routing/known_worker.h"
#include "gateway/routing/worker_choice.h"
#include "gateway/routing/worker_handle.h"
#include "skein/v1/workers.pb.h"

namespace skein {

struct RoutingTableOptions {
  double load_bound = 1.25;
  EjectionPolicy ejection;
  absl::Duration stall_after = absl::Seconds(5);
  EntryTableOptions entries;
  const Clock* clock = &Clock::Real();
  GatewayMetrics* metrics = nullptr;  // may be null
  uint64_t seed = std::random_device{}();
};

// A worker for one call, which End has to be told the end of.
struct PickedWorker {
  uint64_t call = 0;
  uint64_t worker = 0;
  std::string address;
};

// Thread-safe. Workers are known by the number that Add gave them.
class RoutingTable {
 public:
  explicit RoutingTable(RoutingTableOptions options = {});

  uint64_t Add(const std::string& address);
  // Its calls go on; what they report is ignored.
  void Remove(uint64_t worker);

  // A worker is connected from its first load until SetDown. It serves a model once both its load
  // and its model list name it. True if that puts the worker into another state.
  bool SetLoad(uint64_t worker, const v1::WorkerLoad& load);
  bool SetModels(uint64_t worker, const v1::ListModelsResponse& models);
  bool SetDown(uint64_t worker);

  // What the workers list; workers have the same numbers there. Good for as long as this table is.
  EntryTable& entries() { return entries_; }

  // As WorkerPool::Pick.
  absl::StatusOr<PickedWorker> Pick(const PickRequest& request);
  // As WorkerPool::PickAll.
  absl::StatusOr<std::vector<PickedWorker>> PickAll(const std::string& model);
  // As WorkerPool::PickConnected; empty if there is none.
  std::vector<PickedWorker> PickConnected();
  // As WorkerPool::NumServing.
  int NumServing(const std::string& model, const std::set<std::string>& addresses) const;
  // The call has brought its first message.
  void Answered(uint64_t call);
  // The call has ended; without an outcome if nothing is known of how. Later ones are ignored.
  void End(uint64_t call, const absl::Status* outcome);

  std::vector<v1::ModelInfo> Models() const;
  int NumReady() const;                                // ejected ones too
  std::map<std::string, int> NumReadyByModel() const;  // 0 of a model whose workers are not
  // Workers in each state, all of which are in the map.
  std::map<WorkerState, int> States() const;

 private:
  struct Call {
    uint64_t worker = 0;
    int sequences = 1;
    absl::Time started;
    bool answered = false;
    bool probe = false;
  };

  // Those that could serve a request.
  struct Usable {
    std::vector<KnownWorker*> in;
    std::vector<KnownWorker*> ejected;
    std::vector<KnownWorker*> due;  // of `ejected`: for a probe
  };

  // Runs `change` on the worker. True if its state is another one afterwards.
  template <typename Change>
  bool Update(uint64_t worker, Change change);
  KnownWorker* FindLocked(uint64_t worker);
  Usable UsableLocked(const std::string& model, const PickRequest& request, absl::Time now);
  Holding WantedLocked(const std::string& model, const PickRequest& request) const;
  absl::Status WhyNobodyLocked(const std::string& model, const PickRequest& request) const;
  KnownWorker& ChooseLocked(const std::vector<KnownWorker*>& workers, const std::string& model,
                            const PickRequest& request);
  PickedWorker BeginCallLocked(KnownWorker& worker, int sequences, bool probe, absl::Time now);
  void JudgeLocked(KnownWorker& worker, const Call& call, const absl::Status& outcome);
  void ShowInFlightLocked(const KnownWorker& worker) const;

  const RoutingTableOptions options_;
  EntryTable entries_;  // locked after mu_, if both are

  mutable std::mutex mu_;
  // Guarded by mu_.
  std::map<uint64_t, KnownWorker> workers_;  // by number
  absl::flat_hash_map<uint64_t, Call> calls_;
  uint64_t last_number_ = 0;  // of workers and calls
  std::mt19937_64 random_;
};

}  // namespace skein
