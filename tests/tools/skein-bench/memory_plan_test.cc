#include "tools/skein-bench/memory_plan.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace skein::bench {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kGiB = int64_t{1} << 30;

EngineOptions Options(const std::string& shape, DType state) {
  EngineOptions options;
  options.shape = *random_model::FindShape(shape);
  options.state = state;
  return options;
}

// 7.2 G parameters of two bytes, 8.39 M state values and 65536 logits a sequence.
TEST(MemoryPlanTest, SaysHowManySequencesOfA7BFitA24GiBCard) {
  const MemoryPlan half = PlanMemory(Options("7.2B", DType::kF16), {.max_rows = 512});
  EXPECT_NEAR(static_cast<double>(half.weights), 14.4e9, 0.05e9);
  EXPECT_NEAR(static_cast<double>(half.per_sequence), 2 * 8.39e6 + 2 * 32 * 4096 * 4 + 262144, 1e5);
  EXPECT_NEAR(static_cast<double>(half.SequencesIn(24 * kGiB)), 590, 30);
  const MemoryPlan full = PlanMemory(Options("7.2B", DType::kF32), {.max_rows = 512});
  EXPECT_NEAR(static_cast<double>(full.SequencesIn(24 * kGiB)), 305, 20);
  EXPECT_EQ(full.SequencesIn(12 * kGiB), -1);
  EXPECT_THAT(Describe(half), HasSubstr("weights 13.4"));
}

TEST(MemoryPlanTest, CountsTheContextOfAHybrid) {
  const EngineOptions options = Options("hybrid-8B", DType::kF32);
  const MemoryPlan brief = PlanMemory(options, {.tokens_per_sequence = 16});
  const MemoryPlan full = PlanMemory(options, {.tokens_per_sequence = 4096});
  EXPECT_EQ(full.per_sequence - brief.per_sequence, (4096 - 16) * 36864);
}

TEST(MemoryPlanTest, ReadsAmounts) {
  EXPECT_EQ(*ParseMemory("24GiB"), 24 * kGiB);
  EXPECT_EQ(*ParseMemory("512MiB"), kGiB / 2);
  EXPECT_EQ(*ParseMemory("1.5GiB"), 3 * kGiB / 2);
  for (const char* text : {"", "24", "GiB", "24GB", "-1GiB", "xGiB"}) {
    EXPECT_THAT(std::string(ParseMemory(text).status().message()), HasSubstr("such as 24GiB"))
        << text;
  }
}

}  // namespace
}  // namespace skein::bench
