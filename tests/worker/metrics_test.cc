#include "worker/metrics.h"

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
  EXPECT_EQ(RegisteredMetrics(registry), DocumentedMetrics("skein_worker_"));
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
