#include "gateway/model_series.h"

namespace skein {

ModelSeries::ModelSeries(MetricsRegistry& registry)
    : ready_workers_(prometheus::BuildGauge()
                         .Name("skein_gateway_model_ready_workers")
                         .Help("Workers that are connected and serve the model.")
                         .Register(*registry.registry())),
      registry_differences_(
          prometheus::BuildGauge()
              .Name("skein_gateway_registry_differences")
              .Help("Registered names that not all workers of a model have, or agree on.")
              .Register(*registry.registry())) {}

void ModelSeries::SetReadyWorkers(const std::map<std::string, int>& by_model) {
  std::map<MetricLabels, int> values;
  for (const auto& [model, ready] : by_model) values[{{"model", model}}] = ready;
  const std::lock_guard<std::mutex> lock(mu_);
  Show(values, ready_workers_, shown_ready_workers_);
}

void ModelSeries::SetRegistryDifferences(
    const std::map<std::string, RegistryDifferences>& by_model) {
  std::map<MetricLabels, int> values;
  for (const auto& [model, differences] : by_model) {
    values[{{"model", model}, {"kind", "missing"}}] = differences.missing;
    values[{{"model", model}, {"kind", "conflict"}}] = differences.conflicting;
  }
  const std::lock_guard<std::mutex> lock(mu_);
  Show(values, registry_differences_, shown_registry_differences_);
}

void ModelSeries::Show(const std::map<MetricLabels, int>& values, Family& family, Shown& shown) {
  for (const auto& [labels, value] : values) {
    prometheus::Gauge*& gauge = shown[labels];
    if (gauge == nullptr) gauge = &family.Add(labels);
    gauge->Set(value);
  }
  for (auto it = shown.begin(); it != shown.end();) {
    if (values.count(it->first) != 0) {
      ++it;
      continue;
    }
    family.Remove(it->second);
    it = shown.erase(it);
  }
}

}  // namespace skein
