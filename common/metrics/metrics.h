// One Prometheus registry per process, and the bucket boundaries that all histograms of a kind
// share.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include <prometheus/collectable.h>
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

  // Whose metrics are served beside the registry's. Before anything is served.
  void AddSource(std::shared_ptr<prometheus::Collectable> source);

  // The text exposition format, for a process that serves /metrics itself.
  std::string Text() const;
  // For prometheus::Exposer, which wants shared ownership: the registry, and then the rest.
  const std::shared_ptr<prometheus::Registry>& registry() const { return registry_; }
  const std::vector<std::shared_ptr<prometheus::Collectable>>& sources() const { return sources_; }

 private:
  std::shared_ptr<prometheus::Registry> registry_;
  std::vector<std::shared_ptr<prometheus::Collectable>> sources_;
};

// ok, or a status code in lower case, such as deadline_exceeded.
std::string StatusLabel(const absl::Status& status);
// What StatusLabel can say of the codes that gRPC has: ok first.
const std::vector<std::string>& StatusLabels();

// Seconds, 50 us to 10 s: steps and inter-token latencies, finest below a millisecond.
const prometheus::Histogram::BucketBoundaries& ShortLatencyBuckets();
// Seconds, 1 ms to 10 min: whole requests and times to first token.
const prometheus::Histogram::BucketBoundaries& LongLatencyBuckets();
// Seconds, 50 us to 10 min: waits in a queue, which should be none.
const prometheus::Histogram::BucketBoundaries& WaitBuckets();
// 1, 2, 4, ... 4096: rows of a step.
const prometheus::Histogram::BucketBoundaries& RowBuckets();

}  // namespace skein
