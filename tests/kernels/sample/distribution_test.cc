// The threshold search against the definition: a sort and a running sum in double precision.
#include "kernels/sample/distribution.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

namespace skein {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

double TopPThreshold(std::vector<double> z, double max, double top_p, double lowest) {
  std::erase_if(z, [&](double x) { return x < lowest || x == kMinusInfinity; });
  std::sort(z.begin(), z.end(), std::greater<>());
  double total = 0, sum = 0;
  for (const double x : z) total += std::exp(x - max);
  for (size_t i = 0; i < z.size(); ++i) {
    sum += std::exp(z[i] - max);
    const bool last_of_ties = i + 1 == z.size() || z[i + 1] < z[i];
    if (last_of_ties && sum >= top_p * total) return z[i];
  }
  return kMinusInfinity;
}

// Section 4 and steps 7 to 9, written down as they stand.
std::vector<double> Reference(const SampleRow& row, const std::vector<float>& logits) {
  const bool hf = row.order == SamplingOrder::kHf;
  std::vector<double> z(logits.begin(), logits.end());
  if (hf) {
    for (double& x : z) x /= row.temperature;
  }
  const double max = *std::max_element(z.begin(), z.end());
  double top_k = kMinusInfinity;
  if (row.top_k > 0 && row.top_k < static_cast<int32_t>(z.size())) {
    std::vector<double> sorted = z;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    top_k = sorted[row.top_k - 1];
  }
  double threshold = std::max(top_k, max + std::log(double{row.min_p}));
  if (row.top_p < 1) {
    threshold = std::max(threshold, TopPThreshold(z, max, row.top_p, hf ? top_k : kMinusInfinity));
  }
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> q(z.size());
  double total = 0;
  for (size_t i = 0; i < z.size(); ++i) {
    if (z[i] >= threshold) q[i] = std::exp((logits[i] - largest) / row.temperature);
    total += q[i];
  }
  for (double& x : q) x /= total;
  return q;
}

void ExpectClose(const std::vector<double>& actual, const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  double distance = 0;
  int64_t wrong_survivors = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    distance += std::abs(actual[i] - expected[i]);
    wrong_survivors += (actual[i] > 0) != (expected[i] > 0) ? 1 : 0;
  }
  EXPECT_LT(distance / 2, 1e-6);
  EXPECT_EQ(wrong_survivors, 0);
}

TEST(DistributionTest, AgreesWithTheDefinitionForRandomLogitsAndFilters) {
  std::mt19937 random(11);
  const auto pick = [&](std::initializer_list<float> values) {
    return *(values.begin() + random() % values.size());
  };
  Distribution distribution;  // reused, as in a step
  for (int trial = 0; trial < 400; ++trial) {
    std::vector<float> logits(1 + random() % 3000);
    std::normal_distribution<float> normal(0, pick({0.3f, 2, 6}));
    const float grid = pick({0, 0, 0.25f});  // coarse logits tie
    for (float& logit : logits) {
      logit = normal(random);
      if (grid > 0) logit = std::round(logit / grid) * grid;
    }
    SampleRow row;
    row.temperature = pick({0.3f, 0.7f, 1, 1.7f});
    row.top_p = pick({0.05f, 0.313f, 0.8017f, 0.97003f, 1});
    row.top_k = static_cast<int32_t>(pick({0, 2, 7, 40, 900}));
    row.min_p = pick({0, 0.0101f, 0.237f});
    row.order = random() % 2 == 0 ? SamplingOrder::kRwkv : SamplingOrder::kHf;
    SCOPED_TRACE(testing::Message() << "trial " << trial << " vocab " << logits.size());
    ASSERT_EQ(distribution.Build(row, logits), SampleOutcome::kOk);
    ExpectClose(distribution.Probabilities(), Reference(row, logits));
  }
}

TEST(DistributionTest, DrawIsTheInverseOfTheRunningSum) {
  std::mt19937 random(5);
  std::vector<float> logits(1500);
  for (float& logit : logits) logit = std::normal_distribution<float>(0, 2)(random);
  for (const int32_t top_k : {0, 30}) {
    SampleRow row;
    row.top_k = top_k;
    Distribution distribution;
    ASSERT_EQ(distribution.Build(row, logits), SampleOutcome::kOk);
    const std::vector<double> q = distribution.Probabilities();
    for (int i = 0; i < 500; ++i) {
      const double u = static_cast<double>(random() >> 8) * 0x1p-24;
      double sum = 0;
      size_t expected = 0;
      while (expected + 1 < q.size() && (sum += q[expected]) <= u) ++expected;
      EXPECT_EQ(distribution.Draw(u), static_cast<int32_t>(expected)) << u;
    }
  }
}

TEST(DistributionTest, TheEndsOfTheUniformNumberDrawTheFirstAndTheLastSurvivor) {
  constexpr float kCut = -std::numeric_limits<float>::infinity();
  std::vector<float> logits(600, 1);
  logits.front() = kCut;
  logits.back() = kCut;
  Distribution distribution;
  ASSERT_EQ(distribution.Build(SampleRow{}, logits), SampleOutcome::kOk);
  EXPECT_EQ(distribution.Draw(0), 1);
  EXPECT_EQ(distribution.Draw(1 - 0x1p-24), 598);
}

TEST(DistributionTest, GreedyTakesTheLowestOfEqualTokens) {
  const std::vector<float> logits = {1, 3, 2, 3, 3};
  for (const SampleRow& row :
       {SampleRow{.temperature = 0}, SampleRow{.top_k = 1}, SampleRow{.top_p = 0}}) {
    Distribution distribution;
    ASSERT_EQ(distribution.Build(row, logits), SampleOutcome::kOk);
    EXPECT_EQ(distribution.Draw(0.999), 1);
    EXPECT_EQ(distribution.LogProbability(1), 0);
    EXPECT_EQ(distribution.LogProbability(3), kCutLogprob);
  }
}

TEST(DistributionTest, TopListsSurvivorsThenCutTokens) {
  const std::vector<float> logits = {0, 2, -1, 3};
  Distribution distribution;
  ASSERT_EQ(distribution.Build(SampleRow{.top_k = 2}, logits), SampleOutcome::kOk);
  std::vector<RankedLogit> top;
  distribution.Top(4, top);
  ASSERT_EQ(top.size(), 4u);
  EXPECT_EQ(top[0].index, 3);
  EXPECT_NEAR(top[0].logit, -std::log1p(std::exp(-1.0)), 1e-6);
  EXPECT_EQ(top[1].index, 1);
  EXPECT_EQ(top[2].index, 0);
  EXPECT_EQ(top[2].logit, kCutLogprob);
  EXPECT_EQ(top[3].index, 2);
}

TEST(DistributionTest, RefusesRowsWithoutAFiniteMaximum) {
  const float infinity = std::numeric_limits<float>::infinity();
  Distribution distribution;
  EXPECT_EQ(distribution.Build(SampleRow{}, std::vector<float>(5, -infinity)),
            SampleOutcome::kNothingAllowed);
  EXPECT_EQ(distribution.Build(SampleRow{}, std::vector<float>{1, infinity}),
            SampleOutcome::kNotFinite);
  EXPECT_EQ(distribution.Build(SampleRow{}, std::vector<float>{1, std::nanf("")}),
            SampleOutcome::kNotFinite);
}

}  // namespace
}  // namespace skein
