#include "worker/metrics.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/testing/documented_metrics.h"

namespace skein {
namespace {

TEST(WorkerMetricsTest, TheDocumentListsEachMetricAndNoOther) {
  MetricsRegistry registry;
  WorkerMetrics metrics(registry, "m");
  metrics.CountRequest(absl::OkStatus());
  SetCertificateExpiry(registry, "m", "server", 0);
  metrics.CountRejected("draining");
  metrics.CountStateLoad(absl::OkStatus());
  EXPECT_EQ(RegisteredMetrics(registry), DocumentedMetrics("skein_worker_"));
}

TEST(WorkerMetricsTest, CountersStartAtZeroForTheLabelsThatTheyAreKnownToTake) {
  MetricsRegistry registry;
  const WorkerMetrics metrics(registry, "m");
  const std::string text = registry.Text();
  std::vector<std::string> series;
  for (const std::string& outcome : StatusLabels()) {
    series.push_back("requests_total{model=\"m\",outcome=\"" + outcome + "\"} 0");
  }
  for (const char* reason :
       {"queue_requests", "queue_tokens", "too_large", "loading", "draining", "failed"}) {
    series.push_back(std::string("rejected_requests_total{model=\"m\",reason=\"") + reason +
                     "\"} 0");
  }
  for (const std::string& each : series) {
    EXPECT_NE(text.find("skein_worker_" + each), text.npos) << each;
  }
}

TEST(WorkerMetricsTest, OutcomesAreCountedByStatus) {
  MetricsRegistry registry;
  WorkerMetrics metrics(registry, "m");
  metrics.CountRequest(absl::OkStatus());
  metrics.CountRequest(absl::DeadlineExceededError("late"));
  metrics.CountRequest(absl::DeadlineExceededError("late again"));
  const std::string text = registry.Text();
  EXPECT_NE(text.find("skein_worker_requests_total{model=\"m\",outcome=\"ok\"} 1"), text.npos)
      << text;
  EXPECT_NE(text.find("skein_worker_requests_total{model=\"m\",outcome=\"deadline_exceeded\"} 2"),
            text.npos)
      << text;
}

}  // namespace
}  // namespace skein
