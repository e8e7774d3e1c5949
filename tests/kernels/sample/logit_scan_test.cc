#include "kernels/sample/logit_scan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "kernels/sample/weight.h"

namespace skein {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> RandomLogits(int64_t size, uint32_t seed, float deviation = 3) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> logits(size);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

TEST(LogitScanTest, SumAgreesWithDoublePrecisionForAnyLength) {
  for (const int64_t size : {1, 7, 255, 256, 257, 1000, 65536}) {
    const std::vector<float> logits = RandomLogits(size, static_cast<uint32_t>(size));
    const LogitMax found = FindMax(logits);
    EXPECT_EQ(found.max, *std::max_element(logits.begin(), logits.end()));
    for (const float scale : {0.1f, 1.0f, 3.0f}) {
      double expected = 0;
      for (const float logit : logits) expected += std::exp((double{logit} - found.max) * scale);
      std::vector<uint64_t> block_sums;
      const uint64_t sum = SumWeights(logits, found.max, scale, &block_sums);
      EXPECT_NEAR(static_cast<double>(sum) * kWeightUnit / expected, 1, 5e-7) << size;
      EXPECT_EQ(std::accumulate(block_sums.begin(), block_sums.end(), uint64_t{0}), sum);
    }
  }
}

TEST(LogitScanTest, FindsNanAndInfinityWhereverTheyAre) {
  for (const int64_t at : {0, 17, 300, 1023}) {
    std::vector<float> logits = RandomLogits(1024, 1);
    logits[at] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(FindMax(logits).has_nan) << at;
    logits[at] = kInfinity;
    EXPECT_FALSE(FindMax(logits).has_nan);
    EXPECT_EQ(FindMax(logits).max, kInfinity);
  }
  EXPECT_EQ(FindMax(std::vector<float>(70, -kInfinity)).max, -kInfinity);
}

TEST(LogitScanTest, BinsCountEveryLogitOnce) {
  std::vector<float> logits = RandomLogits(1000, 2, 8);
  logits[5] = -kInfinity;
  const float max = FindMax(logits).max;
  LogitBins bins;
  FindBins(logits, max, 1, bins);
  EXPECT_EQ(std::accumulate(bins.count.begin(), bins.count.end(), int64_t{0}), 1000);
  EXPECT_EQ(bins.bin[5], kBins - 1);
  for (size_t i = 0; i < logits.size(); ++i) {
    if (bins.bin[i] == kBins - 1) continue;
    EXPECT_NEAR(bins.bin[i] + 0.5, (max - logits[i]) * kBinsPerUnit, 0.5001);
  }
}

TEST(LogitScanTest, TopIsTheHeadOfAStableSort) {
  std::vector<float> logits = RandomLogits(5000, 3);
  for (float& logit : logits) logit = std::round(logit);  // many ties
  std::vector<RankedLogit> top;
  for (const int count : {0, 1, 5, 20}) {
    FindTop(logits, count, top);
    std::vector<int32_t> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
    ASSERT_EQ(top.size(), static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) EXPECT_EQ(top[i].index, order[i]);
  }
}

}  // namespace
}  // namespace skein
