// One Prometheus registry per process, and the bucket boundaries that all histograms of a kind
// share.
#pragma once

#include <map>
#include <memory>
#include <string>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

namespace skein {

using MetricLabels = std::map<std::string, std::string>;

// Thread-safe. Metrics live as long as the registry. Adding the same name and labels twice returns
// the first one.
class MetricsRegistry {
 public:
  MetricsRegistry();

  prometheus::Counter& AddCounter(const std::string& name, const std::string& help,
                                  const MetricLabels& labels = {});
  prometheus::Gauge& AddGauge(const std::string& name, const std::string& help,
                              const MetricLabels& labels = {});
  prometheus::Histogram& AddHistogram(const std::string& name, const std::string& help,
                                      const prometheus::Histogram::BucketBoundaries& buckets,
                                      const MetricLabels& labels = {});

  // The text exposition format, for a process that serves /metrics itself.
  std::string Text() const;
  // For prometheus::Exposer, which wants shared ownership.
  const std::shared_ptr<prometheus::Registry>& registry() const { return registry_; }

 private:
  std::shared_ptr<prometheus::Registry> registry_;
};

// Seconds, 50 us to 10 s: steps and inter-token latencies, finest below a millisecond.
const prometheus::Histogram::BucketBoundaries& ShortLatencyBuckets();
// Seconds, 1 ms to 10 min: whole requests, queue waits and times to first token.
const prometheus::Histogram::BucketBoundaries& LongLatencyBuckets();
// 1, 2, 4, ... 4096: rows of a step.
const prometheus::Histogram::BucketBoundaries& RowBuckets();

}  // namespace skein
