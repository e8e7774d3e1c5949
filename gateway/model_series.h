// The metrics of one gateway that follow the models of its workers.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include <prometheus/family.h>
#include <prometheus/gauge.h>

#include "common/metrics/metrics.h"

namespace skein {

// How far apart the workers of a model are in what they have registered.
struct RegistryDifferences {
  int missing = 0;      // names that some workers have and others have not
  int conflicting = 0;  // names that stand for different contents
};

// Thread-safe. A model that is not among those told last has no series.
class ModelSeries {
 public:
  explicit ModelSeries(MetricsRegistry& registry);

  // The ready workers of each model that a known worker has, 0 included.
  void SetReadyWorkers(const std::map<std::string, int>& by_model);
  // Of each model that has a worker with a registry, 0 included.
  void SetRegistryDifferences(const std::map<std::string, RegistryDifferences>& by_model);

 private:
  using Family = prometheus::Family<prometheus::Gauge>;
  // The gauges of one family, by their labels.
  using Shown = std::map<MetricLabels, prometheus::Gauge*>;

  static void Show(const std::map<MetricLabels, int>& values, Family& family, Shown& shown);

  Family& ready_workers_;
  Family& registry_differences_;

  std::mutex mu_;
  // Guarded by mu_.
  Shown shown_ready_workers_;
  Shown shown_registry_differences_;
};

}  // namespace skein
