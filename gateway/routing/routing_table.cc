#include "gateway/routing/routing_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

bool Contains(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

}  // namespace

bool RoutingTable::Worker::IsReady() const {
  return connected && !draining &&
         std::any_of(ready.begin(), ready.end(),
                     [this](const std::string& model) { return infos.count(model) != 0; });
}

RoutingTable::RoutingTable(const std::vector<std::string>& addresses) {
  for (const std::string& address : addresses) {
    Worker worker;
    worker.address = address;
    workers_.push_back(std::move(worker));
  }
}

void RoutingTable::SetLoad(size_t worker_index, const v1::WorkerLoad& load) {
  const std::lock_guard<std::mutex> lock(mu_);
  Worker& worker = workers_[worker_index];
  worker.connected = true;
  worker.draining = load.draining();
  worker.ready = std::set<std::string>(load.ready_models().begin(), load.ready_models().end());
}

void RoutingTable::SetModels(size_t worker_index, const v1::ListModelsResponse& models) {
  const std::lock_guard<std::mutex> lock(mu_);
  Worker& worker = workers_[worker_index];
  worker.infos.clear();
  for (const v1::ModelInfo& model : models.models()) worker.infos[model.name()] = model;
}

void RoutingTable::SetDown(size_t worker_index) {
  const std::lock_guard<std::mutex> lock(mu_);
  Worker& worker = workers_[worker_index];
  worker.connected = false;
  worker.ready.clear();
}

absl::StatusOr<size_t> RoutingTable::Pick(absl::string_view model,
                                          const std::vector<std::string>& avoid) {
  const std::lock_guard<std::mutex> lock(mu_);
  std::string name(model);
  if (name.empty()) {
    ASSIGN_OR_RETURN(name, OnlyModelLocked());
  }
  const auto last = last_pick_.find(name);
  const size_t first = last == last_pick_.end() ? 0 : last->second + 1;
  for (size_t i = 0; i < workers_.size(); ++i) {
    const size_t index = (first + i) % workers_.size();
    const Worker& worker = workers_[index];
    if (!worker.IsReady() || !worker.Serves(name) || Contains(avoid, worker.address)) continue;
    last_pick_[name] = index;
    return index;
  }
  return NobodyServesLocked(name, avoid);
}

void RoutingTable::AddInFlight(size_t worker_index, int sequences) {
  const std::lock_guard<std::mutex> lock(mu_);
  workers_[worker_index].in_flight += sequences;
}

int RoutingTable::InFlight(size_t worker_index) const {
  const std::lock_guard<std::mutex> lock(mu_);
  return workers_[worker_index].in_flight;
}

absl::StatusOr<std::string> RoutingTable::OnlyModelLocked() const {
  std::set<std::string> served;
  bool connected = false;
  for (const Worker& worker : workers_) {
    connected = connected || worker.connected;
    for (const std::string& model : worker.ready) {
      if (worker.Serves(model)) served.insert(model);
    }
  }
  if (served.size() == 1) return *served.begin();
  if (served.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("model: missing, expected one of the ", served.size(), " that are served"));
  }
  return absl::UnavailableError(connected ? "no model is ready yet" : "no worker is connected");
}

absl::Status RoutingTable::NobodyServesLocked(const std::string& model,
                                              const std::vector<std::string>& avoid) const {
  bool connected = false;
  bool loading = false;
  bool draining = false;
  bool lost = false;
  bool avoided = false;
  for (const Worker& worker : workers_) {
    const bool has = worker.infos.count(model) != 0;
    connected = connected || worker.connected;
    loading = loading || (worker.connected && !worker.draining && worker.ready.empty());
    draining = draining || (worker.connected && worker.draining && has);
    lost = lost || (!worker.connected && has);
    avoided = avoided || (Contains(avoid, worker.address) && has);
  }
  if (!connected) return absl::UnavailableError("no worker is connected");
  if (avoided)
    return absl::UnavailableError(absl::StrCat("no other worker serves \"", model, "\""));
  if (draining) return absl::UnavailableError(absl::StrCat("\"", model, "\" is draining"));
  if (lost) {
    return absl::UnavailableError(absl::StrCat("the worker of \"", model, "\" is not connected"));
  }
  if (loading) return absl::UnavailableError("a worker is still loading its model");
  return absl::NotFoundError(absl::StrCat("model: \"", model, "\" is not served here"));
}

std::vector<v1::ModelInfo> RoutingTable::Models() const {
  const std::lock_guard<std::mutex> lock(mu_);
  std::map<std::string, v1::ModelInfo> by_name;
  for (const Worker& worker : workers_) {
    if (!worker.IsReady()) continue;
    for (const auto& [name, info] : worker.infos) {
      if (worker.Serves(name)) by_name.emplace(name, info);
    }
  }
  std::vector<v1::ModelInfo> models;
  for (auto& [name, info] : by_name) models.push_back(std::move(info));
  return models;
}

int RoutingTable::NumReady() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return static_cast<int>(std::count_if(workers_.begin(), workers_.end(),
                                        [](const Worker& worker) { return worker.IsReady(); }));
}

}  // namespace skein
