#include "kernels/sample/philox.h"

#include <gtest/gtest.h>

namespace skein {
namespace {

TEST(PhiloxTest, GivesThePublishedWordsOfTheZeroCounter) {
  EXPECT_EQ(Philox(0, 0, 0),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
}

TEST(PhiloxTest, UniformsSpreadEvenlyOverStepsAndSeeds) {
  constexpr int kSeeds = 64, kSteps = 2000;
  double sum = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    for (uint64_t step = 0; step < kSteps; ++step) {
      const double u = DrawUniform(seed, step, 0);
      ASSERT_GE(u, 0);
      ASSERT_LT(u, 1);
      sum += u;
    }
  }
  EXPECT_NEAR(sum / (kSeeds * kSteps), 0.5, 0.003);  // its standard deviation is 0.0008
}

TEST(PhiloxTest, EachOfSeedStepAndChoiceChangesTheNumber) {
  const double u = DrawUniform(1, 2, 3);
  EXPECT_NE(u, DrawUniform(2, 2, 3));
  EXPECT_NE(u, DrawUniform(1 + (uint64_t{1} << 40), 2, 3));
  EXPECT_NE(u, DrawUniform(1, 3, 3));
  EXPECT_NE(u, DrawUniform(1, 2 + (uint64_t{1} << 40), 3));
  EXPECT_NE(u, DrawUniform(1, 2, 4));
}

}  // namespace
}  // namespace skein
