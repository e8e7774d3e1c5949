#include "gateway/metrics.h"

#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/documented_metrics.h"

namespace skein {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

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
  metrics.SetReadyWorkers({{"m", 1}});
  metrics.SetRegistryDifferences({{"m", {}}});
  metrics.workers.SetInFlight("a:1", 1);
  metrics.workers.CountRequest("a:1", "ok");
  metrics.CountFailedStream(absl::UnavailableError("gone"));
  EXPECT_EQ(RegisteredMetrics(registry), DocumentedMetrics("skein_gateway_"));
}

// The values that `label` has among the series `name`, if each of them is 0.
std::set<std::string> ValuesAtZero(const MetricsRegistry& registry, const std::string& name,
                                   const std::string& label) {
  std::set<std::string> values;
  for (const prometheus::MetricFamily& family : registry.registry()->Collect()) {
    if (family.name != name) continue;
    for (const prometheus::ClientMetric& metric : family.metric) {
      EXPECT_EQ(metric.counter.value, 0) << name;
      for (const prometheus::ClientMetric::Label& each : metric.label) {
        if (each.name == label) values.insert(each.value);
      }
    }
  }
  return values;
}

TEST(GatewayMetricsTest, CountersStartAtZeroForTheLabelsThatTheyAreKnownToTake) {
  MetricsRegistry registry;
  GatewayMetrics metrics(registry);
  metrics.ExpectRequests("/r", {200, 503});
  metrics.workers.SetInFlight("a:1", 0);
  const std::set<std::string> outcomes(StatusLabels().begin(), StatusLabels().end());
  std::set<std::string> errors = outcomes;
  errors.erase("ok");
  struct Case {
    const char* name;
    const char* label;
    std::set<std::string> values;
  };
  for (const Case& c :
       std::vector<Case>{{"requests_total", "status", {"200", "503"}},
                         {"refused_requests_total",
                          "reason",
                          {"no_key", "wrong_key", "expired_key", "role", "model", "adapter",
                           "parallel", "requests_per_minute", "tokens_per_minute", "draining"}},
                         {"picks_total", "choice", {"affine", "random", "bound", "probe"}},
                         {"ejections_total", "reason", {"failures", "probe", "silence", "stall"}},
                         {"retries_total", "outcome", {"retried", "budget", "exhausted"}},
                         {"registry_catch_ups_total", "outcome", outcomes},
                         {"failed_streams_total", "error", errors},
                         {"worker_requests_total", "outcome", outcomes}}) {
    const std::string name = std::string("skein_gateway_") + c.name;
    EXPECT_EQ(ValuesAtZero(registry, name, c.label), c.values) << name;
  }
  EXPECT_THAT(outcomes, AllOf(SizeIs(17), Contains("ok"), Contains("deadline_exceeded"),
                              Contains("unauthenticated")));
  EXPECT_THAT(registry.Text(), HasSubstr(R"(request_seconds_count{route="/r"} 0)"));
}

TEST(ModelSeriesTest, ComeAndGoWithTheModelsOfKnownWorkers) {
  MetricsRegistry registry;
  GatewayMetrics metrics(registry);
  metrics.SetReadyWorkers({{"m", 2}, {"other", 0}});
  EXPECT_THAT(registry.Text(), HasSubstr(R"(model_ready_workers{model="m"} 2)"));
  EXPECT_THAT(registry.Text(), HasSubstr(R"(model_ready_workers{model="other"} 0)"));
  EXPECT_THAT(registry.Text(), HasSubstr(R"(first_token_seconds_count{model="other"} 0)"));
  metrics.SetReadyWorkers({{"m", 0}});
  EXPECT_THAT(registry.Text(), HasSubstr(R"(model_ready_workers{model="m"} 0)"));
  EXPECT_THAT(registry.Text(), Not(HasSubstr(R"(model_ready_workers{model="other"})")));
  metrics.SetReadyWorkers({{"other", 1}});
  EXPECT_THAT(registry.Text(), HasSubstr(R"(model_ready_workers{model="other"} 1)"));

  metrics.SetRegistryDifferences({{"m", {.missing = 1, .conflicting = 2}}});
  EXPECT_THAT(registry.Text(), HasSubstr(R"(differences{kind="missing",model="m"} 1)"));
  EXPECT_THAT(registry.Text(), HasSubstr(R"(differences{kind="conflict",model="m"} 2)"));
  metrics.SetRegistryDifferences({{"other", {}}});
  EXPECT_THAT(registry.Text(), HasSubstr(R"(differences{kind="missing",model="other"} 0)"));
  EXPECT_THAT(registry.Text(), Not(HasSubstr(R"(differences{kind="missing",model="m"})")));
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
  EXPECT_THAT(registry.Text(), Not(HasSubstr("unknown:1")));
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
