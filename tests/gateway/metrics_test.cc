#include "gateway/metrics.h"

#include "gtest/gtest.h"

#include "tests/testing/documented_metrics.h"

namespace skein {
namespace {

TEST(GatewayMetricsTest, TheDocumentListsEachMetricAndNoOther) {
  MetricsRegistry registry;
  GatewayMetrics metrics(registry);
  metrics.CountRequest("/v1/models", 200, 0.001);
  metrics.CountRefusal("no_key");
  metrics.SetStaleFile("keys", false);
  metrics.SetCertificateExpiry("server", 0);
  EXPECT_EQ(RegisteredMetrics(registry), DocumentedMetrics("skein_gateway_"));
}

}  // namespace
}  // namespace skein
