// What is known of the workers, and which of them serves a request. No gRPC calls: who asks the
// workers tells the table.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "skein/v1/workers.pb.h"

namespace skein {

// Thread-safe. Workers are known by their index among the addresses.
class RoutingTable {
 public:
  explicit RoutingTable(const std::vector<std::string>& addresses);

  // A worker is connected from its first load until SetDown. It serves a model once both its load
  // and its model list name it.
  void SetLoad(size_t worker_index, const v1::WorkerLoad& load);
  void SetModels(size_t worker_index, const v1::ListModelsResponse& models);
  void SetDown(size_t worker_index);

  // As WorkerPool::Pick. A worker that is down or draining and had the model makes it Unavailable
  // instead of NotFound.
  absl::StatusOr<size_t> Pick(absl::string_view model, const std::vector<std::string>& avoid = {});
  void AddInFlight(size_t worker_index, int sequences);
  int InFlight(size_t worker_index) const;
  std::vector<v1::ModelInfo> Models() const;
  int NumReady() const;

 private:
  struct Worker {
    std::string address;
    bool connected = false;
    bool draining = false;
    int in_flight = 0;                           // sequences that were sent and have not ended
    std::set<std::string> ready;                 // of the last load
    std::map<std::string, v1::ModelInfo> infos;  // of the last model list; kept while it is down

    bool Serves(const std::string& model) const {
      return ready.count(model) != 0 && infos.count(model) != 0;
    }
    bool IsReady() const;
  };

  absl::StatusOr<std::string> OnlyModelLocked() const;
  absl::Status NobodyServesLocked(const std::string& model,
                                  const std::vector<std::string>& avoid) const;

  mutable std::mutex mu_;
  std::vector<Worker> workers_;              // guarded by mu_
  std::map<std::string, size_t> last_pick_;  // guarded by mu_; by model
};

}  // namespace skein
