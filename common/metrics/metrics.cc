#include "common/metrics/metrics.h"

#include <utility>

#include "absl/strings/ascii.h"
#include <prometheus/text_serializer.h>

namespace skein {

MetricsRegistry::MetricsRegistry() : registry_(std::make_shared<prometheus::Registry>()) {}

prometheus::Counter& MetricsRegistry::AddCounter(const std::string& name, const std::string& help,
                                                 const MetricLabels& labels) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(*registry_).Add(labels);
}

prometheus::Gauge& MetricsRegistry::AddGauge(const std::string& name, const std::string& help,
                                             const MetricLabels& labels) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(*registry_).Add(labels);
}

prometheus::Histogram& MetricsRegistry::AddHistogram(
    const std::string& name, const std::string& help,
    const prometheus::Histogram::BucketBoundaries& buckets, const MetricLabels& labels) {
  return prometheus::BuildHistogram()
      .Name(name)
      .Help(help)
      .Register(*registry_)
      .Add(labels, buckets);
}

void MetricsRegistry::AddSource(std::shared_ptr<prometheus::Collectable> source) {
  sources_.push_back(std::move(source));
}

std::string MetricsRegistry::Text() const {
  std::vector<prometheus::MetricFamily> families = registry_->Collect();
  for (const auto& source : sources_) {
    for (prometheus::MetricFamily& family : source->Collect()) {
      families.push_back(std::move(family));
    }
  }
  return prometheus::TextSerializer().Serialize(families);
}

std::string StatusLabel(const absl::Status& status) {
  return absl::AsciiStrToLower(absl::StatusCodeToString(status.code()));
}

const std::vector<std::string>& StatusLabels() {
  static const std::vector<std::string> kLabels = [] {
    std::vector<std::string> labels;
    for (int code = static_cast<int>(absl::StatusCode::kOk);
         code <= static_cast<int>(absl::StatusCode::kUnauthenticated); ++code) {
      labels.push_back(StatusLabel(absl::Status(static_cast<absl::StatusCode>(code), "")));
    }
    return labels;
  }();
  return kLabels;
}

const prometheus::Histogram::BucketBoundaries& ShortLatencyBuckets() {
  static const prometheus::Histogram::BucketBoundaries buckets = {
      50e-6, 100e-6, 200e-6, 300e-6, 500e-6, 700e-6, 1e-3,   1.5e-3, 2e-3, 3e-3, 5e-3, 7e-3, 10e-3,
      15e-3, 20e-3,  30e-3,  50e-3,  70e-3,  100e-3, 200e-3, 0.5,    1,    2,    5,    10};
  return buckets;
}

const prometheus::Histogram::BucketBoundaries& LongLatencyBuckets() {
  static const prometheus::Histogram::BucketBoundaries buckets = {
      1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600};
  return buckets;
}

const prometheus::Histogram::BucketBoundaries& WaitBuckets() {
  static const prometheus::Histogram::BucketBoundaries buckets = {
      50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2,
      0.5,   1,      2,      5,      10,   20,   30,   60,    120,   300,   600};
  return buckets;
}

const prometheus::Histogram::BucketBoundaries& RowBuckets() {
  static const prometheus::Histogram::BucketBoundaries buckets = {
      1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};
  return buckets;
}

}  // namespace skein
