#include "worker/engine/memory_plan.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kGib = int64_t{1} << 30;

// About what a model of 7 billion parameters has in fp16, with fp16 states.
ModelMemory Large() {
  ModelMemory memory;
  memory.weight_bytes = 14 * kGib;
  memory.activation_bytes = kGib / 2;
  memory.state_bytes = 18 << 20;
  memory.vocab_size = 65536;
  return memory;
}

EngineLimits Sequences(int count) {
  EngineLimits limits;
  limits.max_sequences = count;
  limits.kv_bytes = 3 * kGib;
  return limits;
}

TEST(MemoryPlanTest, PartsAddUpAndPagesAreForAttentionAlone) {
  const auto pure = PlanMemory(Large(), Sequences(256), 80 * kGib);
  ASSERT_TRUE(pure.ok()) << pure.status();
  EXPECT_EQ(pure->pages, 0);
  EXPECT_EQ(pure->states, int64_t{257} * (18 << 20));
  EXPECT_EQ(pure->logits, MaxOutputs(Sequences(256)) * 65536 * 4);
  EXPECT_EQ(pure->total(), pure->weights + pure->activations + pure->states + pure->logits);
  ModelMemory hybrid = Large();
  hybrid.kv_bytes_per_token = 4096;
  const auto with_pages = PlanMemory(hybrid, Sequences(256), 80 * kGib);
  ASSERT_TRUE(with_pages.ok()) << with_pages.status();
  EXPECT_EQ(with_pages->total(), pure->total() + 3 * kGib);
}

TEST(MemoryPlanTest, WhatIsSaidToFitFitsAndOneMoreDoesNot) {
  const int64_t available = 24 * kGib;
  const auto plan = PlanMemory(Large(), Sequences(1), available);
  ASSERT_TRUE(plan.ok()) << plan.status();
  const int most = static_cast<int>(plan->max_sequences);
  EXPECT_GT(most, 256);
  EXPECT_TRUE(PlanMemory(Large(), Sequences(most), available).ok());
  const absl::Status refused = PlanMemory(Large(), Sequences(most + 1), available).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("expected at most " + std::to_string(most)));
}

TEST(MemoryPlanTest, WeightsThatDoNotFitAreRefusedWithTheirSize) {
  const absl::Status refused = PlanMemory(Large(), Sequences(1), 8 * kGib).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("weights 14.00"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("Not even one sequence fits"));
}

}  // namespace
}  // namespace skein
