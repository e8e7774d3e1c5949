// Metrics that go when their owner goes.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "common/metrics/metrics.h"

namespace skein {

// Adds to a registry, which must outlive it, and takes out what it added when it is destroyed: what
// its functions returned is gone then. Two scopes must not add the same name and labels. Otherwise
// as MetricsRegistry. Thread-safe.
class MetricsScope {
 public:
  explicit MetricsScope(MetricsRegistry& registry) : registry_(registry) {}
  ~MetricsScope();
  MetricsScope(const MetricsScope&) = delete;
  MetricsScope& operator=(const MetricsScope&) = delete;

  prometheus::Counter& AddCounter(const std::string& name, const std::string& help,
                                  const MetricLabels& labels = {});
  prometheus::Gauge& AddGauge(const std::string& name, const std::string& help,
                              const MetricLabels& labels = {});
  prometheus::Histogram& AddHistogram(const std::string& name, const std::string& help,
                                      const prometheus::Histogram::BucketBoundaries& buckets,
                                      const MetricLabels& labels = {});

 private:
  template <typename Metric>
  Metric& Added(prometheus::Family<Metric>& family, Metric& metric);

  MetricsRegistry& registry_;
  std::mutex mu_;
  std::map<const void*, std::function<void()>> removals_;  // guarded by mu_; by metric
};

}  // namespace skein
