#include "common/metrics/metrics_scope.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(MetricsScopeTest, WhatItAddedGoesWithItAndNothingElse) {
  MetricsRegistry registry;
  registry.AddCounter("c_total", "Help.", {{"model", "stays"}}).Increment();
  auto scope = std::make_unique<MetricsScope>(registry);
  prometheus::Counter& counter = scope->AddCounter("c_total", "Help.", {{"model", "goes"}});
  counter.Increment();
  EXPECT_EQ(&scope->AddCounter("c_total", "Help.", {{"model", "goes"}}), &counter);
  scope->AddGauge("g", "Help.", {{"model", "goes"}}).Set(7);
  scope->AddHistogram("h", "Help.", {1, 2}, {{"model", "goes"}}).Observe(1);
  EXPECT_THAT(registry.Text(), HasSubstr("c_total{model=\"goes\"} 1"));
  EXPECT_THAT(registry.Text(), HasSubstr("g{model=\"goes\"} 7"));
  scope.reset();
  EXPECT_THAT(registry.Text(), Not(HasSubstr("goes")));
  EXPECT_THAT(registry.Text(), HasSubstr("c_total{model=\"stays\"} 1"));

  MetricsScope again(registry);  // counts from zero
  again.AddCounter("c_total", "Help.", {{"model", "goes"}});
  EXPECT_THAT(registry.Text(), HasSubstr("c_total{model=\"goes\"} 0"));
}

}  // namespace
}  // namespace skein
