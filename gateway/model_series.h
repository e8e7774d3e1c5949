// The metrics of one gateway that follow the models of its workers.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include <prometheus/family.h>
#include <prometheus/gauge.h>

#include "common/metrics/metrics.h"

namespace skein {

// Thread-safe.
class ModelSeries {
 public:
  explicit ModelSeries(MetricsRegistry& registry);

  // The ready workers of each model that a known worker has, 0 included. A model that is not among
  // them any more has no series.
  void SetReadyWorkers(const std::map<std::string, int>& by_model);

 private:
  prometheus::Family<prometheus::Gauge>& ready_workers_;
  std::mutex mu_;
  std::map<std::string, prometheus::Gauge*> shown_;  // by model; guarded by mu_
};

}  // namespace skein
