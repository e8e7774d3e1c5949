#include "kernels/sample/weight.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/sample/logit_scan.h"

namespace skein {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(WeightTest, IsTheExponentialOfTheDistance) {
  for (const float scale : {0.25f, 1.0f, 5.0f}) {
    for (float distance = 0; distance * scale < 30; distance += 0.00137f) {
      const float logit = 3.0f - distance;
      const double x = (3.0 - double{logit}) * scale;
      const double expected = std::exp(-x) / kWeightUnit;
      const double found = static_cast<double>(Weight(logit, 3, WeightRate(scale)));
      EXPECT_NEAR(found, expected, expected * (3e-7 + 8e-8 * x) + 1) << distance;
    }
  }
}

TEST(WeightTest, OfTheMaximumIsOneAndFarAwayZero) {
  EXPECT_EQ(Weight(-7.5f, -7.5f, WeightRate(1)), uint64_t{1} << kWeightBits);
  for (const float logit :
       {-50.0f, -1e4f, -1e30f, -std::numeric_limits<float>::max(), -kInfinity}) {
    for (const float scale : {1.0f, 1e5f}) {
      EXPECT_EQ(Weight(logit, 0, WeightRate(scale)), 0u) << logit;
    }
  }
  EXPECT_EQ(Weight(-kInfinity, 0, WeightRate(1e-38f)), 0u);
}

TEST(WeightTest, IsTheSameOneByOneAndInVectors) {
  std::mt19937 random(4);
  std::normal_distribution<float> normal(0, 9);
  std::vector<float> logits(kScanBlock);
  for (float& logit : logits) logit = normal(random);
  const float max = FindMax(logits).max;
  uint64_t weights[kScanBlock];
  WeightBlock(logits, 0, max, 0.7f, weights);
  for (int i = 0; i < kScanBlock; ++i) {
    EXPECT_EQ(weights[i], Weight(logits[i], max, WeightRate(0.7f)));
  }
}

}  // namespace
}  // namespace skein
