#include "common/metrics/metrics_scope.h"

namespace skein {

MetricsScope::~MetricsScope() {
  for (const auto& [metric, remove] : removals_) remove();
}

template <typename Metric>
Metric& MetricsScope::Added(prometheus::Family<Metric>& family, Metric& metric) {
  const std::lock_guard<std::mutex> lock(mu_);
  removals_.try_emplace(&metric, [&family, &metric] { family.Remove(&metric); });
  return metric;
}

// A family that is there already is the one that is registered again.
prometheus::Counter& MetricsScope::AddCounter(const std::string& name, const std::string& help,
                                              const MetricLabels& labels) {
  return Added(prometheus::BuildCounter().Name(name).Help(help).Register(*registry_.registry()),
               registry_.AddCounter(name, help, labels));
}

prometheus::Gauge& MetricsScope::AddGauge(const std::string& name, const std::string& help,
                                          const MetricLabels& labels) {
  return Added(prometheus::BuildGauge().Name(name).Help(help).Register(*registry_.registry()),
               registry_.AddGauge(name, help, labels));
}

prometheus::Histogram& MetricsScope::AddHistogram(
    const std::string& name, const std::string& help,
    const prometheus::Histogram::BucketBoundaries& buckets, const MetricLabels& labels) {
  return Added(prometheus::BuildHistogram().Name(name).Help(help).Register(*registry_.registry()),
               registry_.AddHistogram(name, help, buckets, labels));
}

}  // namespace skein
