// Which states, mixtures and adapters each worker has, as the workers list them, and what to do
// about a worker that has not got what its peers have. No gRPC calls: who asks the workers tells
// the table.
//
// The workers hold the truth. Their lists are asked for again whenever the revision in their load
// shows that something has changed; until the answer comes, a worker may have any entry.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "gateway/model_series.h"
#include "gateway/routing/catch_up.h"
#include "gateway/routing/known_entries.h"
#include "skein/v1/registry.pb.h"
#include "skein/v1/workers.pb.h"

namespace skein {

struct EntryTableOptions {
  CatchUpOptions catch_up;
  // Lists may differ for so long, while a change reaches worker after worker, before it counts.
  absl::Duration grace = absl::Seconds(3);
  absl::Duration list_retry = absl::Seconds(5);  // after a list that did not come
};

// Thread-safe. Workers are known by the number that the routing table gave them.
class EntryTable {
 public:
  explicit EntryTable(EntryTableOptions options = {})
      : options_(options), catch_up_(options.catch_up) {}

  void SetLoad(uint64_t worker, const std::string& address, const v1::WorkerLoad& load,
               absl::Time now);
  void SetDown(uint64_t worker);
  void Remove(uint64_t worker);
  // Workers were changed: what they list may be old, whatever their load shows.
  void Touch(const std::vector<std::string>& addresses);

  // Asking a worker for its list: of which model one is due, empty if of none; the question goes
  // out; the answer, or why there is none. Unimplemented: the worker has no registry.
  std::string ListDue(uint64_t worker, absl::Time now) const;
  void BeginList(uint64_t worker, const std::string& model);
  void SetList(uint64_t worker, const std::string& model, const v1::ListResponse& list);
  void SetNoList(uint64_t worker, const std::string& model, const absl::Status& why,
                 absl::Time now);

  // As CatchUp: what a new worker needs.
  std::optional<EntryChange> NextChange(uint64_t worker, absl::Time now);
  void SetChanged(uint64_t worker, const EntryChange& change, const absl::Status& outcome,
                  absl::Time now);

  // Of all the names together: the worst. A new worker has nothing that another one has until it
  // says so.
  Holding Has(uint64_t worker, const std::string& model,
              const std::vector<std::string>& names) const;
  // Of all workers of the model: the best. What only workers have that are down, kMaybe.
  Holding Has(const std::string& model, const std::string& name) const;
  // The lists of those of these workers that are connected are as new as their last loads.
  bool AreCurrent(const std::string& model, const std::set<std::string>& addresses) const;
  // As EntriesOf.
  std::vector<ModelEntry> Entries(const std::string& model) const;
  // Of what a name of the model stands for; unspecified if no worker lists it.
  v1::EntryKind KindOf(const std::string& model, const std::string& name) const;

  // By model, what has been so for longer than `grace`. Appends to `conflicts` a text for each
  // conflict that was not there before.
  std::map<std::string, RegistryDifferences> Differences(absl::Time now,
                                                         std::vector<std::string>& conflicts);

 private:
  struct Difference {
    absl::Time since;
    bool told = false;
  };
  using Names = std::map<std::string, Difference>;
  struct Differing {
    Names missing;
    Names conflicting;
  };

  // Of the connected ones.
  Holding BestLocked(const std::string& model, const std::string& name) const;
  // Of a worker that is down: what was removed meanwhile does not come back with it.
  void DropRemovedLocked(KnownEntries& known);
  bool AllCurrentLocked(const std::string& model) const;
  void CompareLocked(const std::string& model, absl::Time now);
  RegistryDifferences CountLocked(const std::string& model, absl::Time now,
                                  std::vector<std::string>& conflicts);

  const EntryTableOptions options_;

  mutable std::mutex mu_;
  // Guarded by mu_.
  EntriesByWorker workers_;
  CatchUp catch_up_;
  bool changed_ = false;                        // since Differences compared
  std::map<std::string, Differing> differing_;  // by model
};

}  // namespace skein
