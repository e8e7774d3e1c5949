#include "gateway/metrics.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/documented_metrics.h"

namespace skein {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(GatewayMetricsTest, TheDocumentListsEachMetricAndNoOther) {
  MetricsRegistry registry;
  GatewayMetrics metrics(registry);
  metrics.CountRequest("/v1/models", 200, 0.001);
  metrics.CountRefusal("no_key");
  metrics.SetStaleFile("keys", false);
  metrics.SetCertificateExpiry("server", 0);
  metrics.CountPick("affine");
  metrics.CountEjection("failures");
  metrics.CountRetry("retried");
  metrics.SetWorkers("ready", 1);
  metrics.workers.SetInFlight("a:1", 1);
  metrics.workers.CountRequest("a:1", "ok");
  metrics.LatenciesOf("m");
  metrics.CountFailedStream(absl::UnavailableError("gone"));
  EXPECT_EQ(RegisteredMetrics(registry), DocumentedMetrics("skein_gateway_"));
}

TEST(WorkerSeriesTest, GoWithTheirWorkerAndComeAgain) {
  MetricsRegistry registry;
  WorkerSeries series(registry);
  series.SetInFlight("a:1", 3);
  series.SetInFlight("b:1", 2);
  series.CountRequest("a:1", "ok");
  series.CountRequest("a:1", "ok");
  series.CountRequest("a:1", "internal");
  series.CountRequest("unknown:1", "ok");
  EXPECT_THAT(registry.Text(), HasSubstr(R"(requests_total{outcome="ok",worker="a:1"} 2)"));
  EXPECT_THAT(registry.Text(), HasSubstr(R"(in_flight{worker="a:1"} 3)"));
  EXPECT_THAT(registry.Text(), Not(HasSubstr("unknown")));
  series.Remove("a:1");
  series.Remove("a:1");
  series.CountRequest("a:1", "ok");  // of a call that ends late
  EXPECT_THAT(registry.Text(), Not(HasSubstr("a:1")));
  EXPECT_THAT(registry.Text(), HasSubstr(R"(in_flight{worker="b:1"} 2)"));
  series.SetInFlight("a:1", 1);
  series.CountRequest("a:1", "ok");
  EXPECT_THAT(registry.Text(), HasSubstr(R"(requests_total{outcome="ok",worker="a:1"} 1)"));
}

}  // namespace
}  // namespace skein
