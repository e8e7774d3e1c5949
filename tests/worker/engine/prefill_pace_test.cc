#include "worker/engine/prefill_pace.h"

#include <algorithm>

#include "gtest/gtest.h"

namespace skein {
namespace {

constexpr int kMost = 2048;
constexpr absl::Duration kTarget = absl::Milliseconds(50);

// Steps of a model that takes `base` and so much for each row of prompts, all rows used.
int Settle(PrefillPace& pace, absl::Duration base, absl::Duration row, int steps = 40) {
  for (int i = 0; i < steps; ++i) pace.Observe(pace.rows(), base + pace.rows() * row);
  return pace.rows();
}

TEST(PrefillPaceTest, SettlesWhereAStepTakesItsTime) {
  for (const absl::Duration row :
       {absl::Microseconds(26), absl::Microseconds(100), absl::Milliseconds(1)}) {
    PrefillPace pace(kTarget, 16, kMost);
    const double wanted = absl::FDivDuration(kTarget - absl::Milliseconds(9), row);
    EXPECT_NEAR(Settle(pace, absl::Milliseconds(9), row), wanted, 0.1 * wanted);
  }
}

TEST(PrefillPaceTest, FastStepsHaveAsManyRowsAsTheyMay) {
  PrefillPace pace(kTarget, 16, kMost);
  EXPECT_EQ(Settle(pace, absl::Milliseconds(2), absl::Microseconds(10)), kMost);
}

TEST(PrefillPaceTest, PromptsGoOnHoweverSlowTheModelIs) {
  PrefillPace pace(kTarget, 16, kMost);
  EXPECT_EQ(Settle(pace, absl::Seconds(1), absl::Milliseconds(5)), 16);
  EXPECT_EQ(PrefillPace(kTarget, 16, 8).rows(), 8);
}

TEST(PrefillPaceTest, OneSlowStepIsMadeUpFor) {
  PrefillPace pace(kTarget, 16, kMost);
  const int before = Settle(pace, absl::Milliseconds(9), absl::Microseconds(100));
  pace.Observe(before, absl::Seconds(30));
  EXPECT_GE(pace.rows(), before / 2 - 1);
  EXPECT_NEAR(Settle(pace, absl::Milliseconds(9), absl::Microseconds(100)), before, 0.1 * before);
}

TEST(PrefillPaceTest, StepsWithFewRowsDoNotRaiseIt) {
  PrefillPace pace(kTarget, 16, kMost);
  const int before = Settle(pace, absl::Milliseconds(9), absl::Microseconds(100));
  for (int i = 0; i < 40; ++i) pace.Observe(before / 4, absl::Milliseconds(10));
  EXPECT_EQ(pace.rows(), before);
  pace.Observe(0, absl::Seconds(1));
  EXPECT_EQ(pace.rows(), before);
}

}  // namespace
}  // namespace skein
