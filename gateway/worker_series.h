// The metrics of one gateway that have a worker's address as a label: they come, with 0 for every
// outcome, and go with the worker.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>

#include "common/metrics/metrics.h"

namespace skein {

// Thread-safe.
class WorkerSeries {
 public:
  explicit WorkerSeries(MetricsRegistry& registry);

  // A worker has series from the first call of this.
  void SetInFlight(const std::string& worker, int sequences);
  // `outcome` is ok or the name of a status code. Nothing for a worker without series.
  void CountRequest(const std::string& worker, const std::string& outcome);
  void Remove(const std::string& worker);

 private:
  struct Series {
    prometheus::Gauge* in_flight = nullptr;
    std::map<std::string, prometheus::Counter*> requests;  // by outcome
  };

  prometheus::Family<prometheus::Gauge>& in_flight_;
  prometheus::Family<prometheus::Counter>& requests_;
  std::mutex mu_;
  std::map<std::string, Series> series_;  // guarded by mu_
};

}  // namespace skein
