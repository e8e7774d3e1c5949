#include "gateway/model_series.h"

namespace skein {

ModelSeries::ModelSeries(MetricsRegistry& registry)
    : ready_workers_(prometheus::BuildGauge()
                         .Name("skein_gateway_model_ready_workers")
                         .Help("Workers that are connected and serve the model.")
                         .Register(*registry.registry())) {}

void ModelSeries::SetReadyWorkers(const std::map<std::string, int>& by_model) {
  const std::lock_guard<std::mutex> lock(mu_);
  for (const auto& [model, ready] : by_model) {
    prometheus::Gauge*& gauge = shown_[model];
    if (gauge == nullptr) gauge = &ready_workers_.Add({{"model", model}});
    gauge->Set(ready);
  }
  for (auto it = shown_.begin(); it != shown_.end();) {
    if (by_model.count(it->first) != 0) {
      ++it;
      continue;
    }
    ready_workers_.Remove(it->second);
    it = shown_.erase(it);
  }
}

}  // namespace skein
