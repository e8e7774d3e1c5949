// Which worker serves a request: finds the workers, keeps in touch with them, and picks one that is
// ready and has the model, by affinity and load.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/base/clock.h"
#include "gateway/metrics.h"
#include "gateway/routing/ejection.h"
#include "gateway/routing/entry_table.h"
#include "gateway/routing/known_worker.h"
#include "gateway/routing/worker_discovery.h"
#include "gateway/routing/worker_handle.h"
#include "skein/v1/workers.pb.h"

namespace grpc {
class ChannelCredentials;
}  // namespace grpc

namespace skein {

struct WorkerPoolOptions {
  // Between attempts to reach a worker: the first wait, doubled up to the last.
  absl::Duration first_retry = absl::Milliseconds(50);
  absl::Duration last_retry = absl::Seconds(2);
  // Model lists are asked for again so often; a worker that does not answer in that time is gone.
  absl::Duration refresh = absl::Seconds(5);
  // A worker that sends heartbeats and is not heard of for so long is down until it is. One that
  // has work and does no step for so long counts as ejected until it does.
  absl::Duration silence = absl::Seconds(5);
  // A connection that is silent for `ping` is pinged; without an answer in `ping_timeout` it is
  // broken, and its calls end with Unavailable: a machine that vanished says nothing.
  absl::Duration ping = absl::Seconds(5);
  absl::Duration ping_timeout = absl::Seconds(10);
  WorkerDiscoveryOptions discovery;
  double load_bound = 1.25;
  EjectionPolicy ejection;
  uint32_t retry_budget_percent = 20;
  const Clock* clock = &Clock::Real();
  EntryTableOptions entries;
  GatewayMetrics* metrics = nullptr;  // may be null; outlives the pool
  // TLS to the workers; null: plain. The name to expect in their certificates, if it is not the one
  // in their addresses.
  std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr;
  std::string server_name = {};
};

// Thread-safe. Keeps a WatchLoad stream and the model list of every worker, reconnecting by itself.
class WorkerPool {
 public:
  // Sources as ParseWorkerSource reads them; each must be one. Starts connecting; no worker needs
  // to be there yet.
  explicit WorkerPool(const std::vector<std::string>& sources, WorkerPoolOptions options = {});
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Chooses as worker_choice.h says among the workers that are connected, have the model ready, are
  // not draining and not ejected. While all of these are ejected, they are chosen from all the
  // same: a worker in doubt is better than none. One whose ejection is over gets one request as a
  // probe. NotFound if no connected worker has the model; Unavailable if none is connected, or
  // those that have it are draining, loading or passed over. Workers that lack one of
  // `request.entries` are left out; NotFound if none of them has it.
  absl::StatusOr<WorkerHandle> Pick(const PickRequest& request);
  // For a call that failed at the last of `request.avoid`. ResourceExhausted if the budget of
  // retries is spent; else as Pick.
  absl::StatusOr<WorkerHandle> PickAgain(const PickRequest& request);
  // Every ready worker of `model`, ejected ones too, for a call to each that takes no step; by when
  // they were found. Nothing is chosen: no probes, and nothing that the budget of retries counts.
  // Errors as of Pick.
  absl::StatusOr<std::vector<WorkerHandle>> PickAll(const std::string& model);
  // Every connected worker that is not draining, whatever it serves, for a call to each as above.
  // Unavailable if there is none.
  absl::StatusOr<std::vector<WorkerHandle>> PickConnected();
  // How many of these workers are ready to serve `model`.
  int NumServing(const std::string& model, const std::vector<std::string>& addresses) const;
  // `done` runs once, on a thread of the pool, when what the workers show makes `condition` true,
  // or after `timeout`; never if the pool ends before. `condition` runs there too.
  void Await(std::function<bool()> condition, absl::Duration timeout,
             std::function<void(bool met)> done);
  // Ready models over all workers, each once, by name.
  std::vector<v1::ModelInfo> Models() const;
  // What the connected workers of a model have registered, by name, and whether one of it is
  // registered: kMaybe while a change is on its way.
  std::vector<ModelEntry> Entries(const std::string& model) const;
  Holding Has(const std::string& model, const std::string& name) const;
  // What a name of the model stands for; unspecified if no worker lists it.
  v1::EntryKind KindOf(const std::string& model, const std::string& name) const;
  // What these workers have registered is known as they last had it.
  bool AreListed(const std::string& model, const std::vector<std::string>& addresses) const;
  // These workers have been told to change what they have registered.
  void Touch(const std::vector<std::string>& addresses);
  // At least one worker is ready to serve a model.
  bool Ready() const;
  // Workers in each state, all of which are in the map.
  std::map<WorkerState, int> States() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skein
