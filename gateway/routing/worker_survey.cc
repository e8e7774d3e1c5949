#include "gateway/routing/worker_survey.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace skein {

bool IsPassedOver(const KnownWorker& worker, const std::string& model, const PickRequest& request) {
  const std::vector<std::string>& avoid = request.avoid;
  if (std::find(avoid.begin(), avoid.end(), worker.address) != avoid.end()) return true;
  return request.needs_free_slot && worker.load() + request.sequences > worker.slots(model);
}

bool CouldServe(const KnownWorker& worker, const std::string& model, const PickRequest& request) {
  return worker.IsReady() && worker.Serves(model) && !IsPassedOver(worker, model, request);
}

absl::StatusOr<std::string> OnlyModel(const KnownWorkers& workers) {
  std::set<std::string> served;
  bool connected = false;
  for (const auto& [number, worker] : workers) {
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

absl::Status WhyNobodyServes(const KnownWorkers& workers, const std::string& model,
                             const PickRequest& request) {
  bool connected = false;
  bool loading = false;
  bool draining = false;
  bool lost = false;
  bool passed_over = false;
  for (const auto& [number, worker] : workers) {
    const bool has = worker.infos.count(model) != 0;
    connected = connected || worker.connected;
    loading = loading || (worker.connected && !worker.draining && worker.ready.empty());
    draining = draining || (worker.connected && worker.draining && has);
    lost = lost || (!worker.connected && has);
    passed_over = passed_over || (has && IsPassedOver(worker, model, request));
  }
  if (!connected) return absl::UnavailableError("no worker is connected");
  if (passed_over) {
    return absl::UnavailableError(absl::StrCat("no other worker serves \"", model, "\""));
  }
  if (draining) return absl::UnavailableError(absl::StrCat("\"", model, "\" is draining"));
  if (lost) {
    return absl::UnavailableError(absl::StrCat("the worker of \"", model, "\" is not connected"));
  }
  if (loading) return absl::UnavailableError("a worker is still loading its model");
  return absl::NotFoundError(absl::StrCat("model: \"", model, "\" is not served here"));
}

std::vector<v1::ModelInfo> ReadyModels(const KnownWorkers& workers) {
  std::map<std::string, v1::ModelInfo> by_name;
  for (const auto& [number, worker] : workers) {
    if (!worker.IsReady()) continue;
    for (const auto& [name, info] : worker.infos) {
      if (worker.Serves(name)) by_name.emplace(name, info);
    }
  }
  std::vector<v1::ModelInfo> models;
  for (auto& [name, info] : by_name) models.push_back(std::move(info));
  return models;
}

std::map<std::string, int> NumReadyByModel(const KnownWorkers& workers) {
  std::map<std::string, int> ready;
  for (const auto& [number, worker] : workers) {
    for (const auto& [name, info] : worker.infos) {
      ready[name] += worker.IsReady() && worker.Serves(name) ? 1 : 0;
    }
  }
  return ready;
}

}  // namespace skein
