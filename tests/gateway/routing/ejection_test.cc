#include "gateway/routing/ejection.h"

#include "gtest/gtest.h"

namespace skein {
namespace {

using State = Ejection::State;

const EjectionPolicy kPolicy = {
    .failures = 3, .first = absl::Seconds(5), .longest = absl::Seconds(20)};

absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

// `calls` at `seconds`, each 0.1 s after it was started; true if the last one ejects.
bool Fail(Ejection& ejection, double seconds, int calls = 1) {
  bool ejected = false;
  for (int i = 0; i < calls; ++i) {
    ejected = ejection.OnFailure(kPolicy, At(seconds - 0.1), At(seconds));
  }
  return ejected;
}

TEST(EjectionTest, OnlyFailuresInARowCount) {
  Ejection ejection;
  EXPECT_FALSE(Fail(ejection, 1, 2));
  ejection.OnSuccess(kPolicy, At(1), At(1));
  EXPECT_FALSE(Fail(ejection, 2, 2));
  EXPECT_EQ(ejection.state(At(2)), State::kIn);
  EXPECT_TRUE(Fail(ejection, 3));
  EXPECT_EQ(ejection.state(At(3)), State::kOut);
  EXPECT_EQ(ejection.state(At(7.9)), State::kOut);
  EXPECT_EQ(ejection.state(At(8)), State::kDue);
}

TEST(EjectionTest, TimesGrowWithEachFailedProbeUpToTheLongest) {
  Ejection ejection;
  ASSERT_TRUE(Fail(ejection, 1, 3));
  double now = 1;
  for (const double seconds : {5.0, 10.0, 20.0, 20.0}) {
    EXPECT_EQ(ejection.duration(), absl::Seconds(seconds));
    EXPECT_EQ(ejection.state(At(now + seconds - 0.01)), State::kOut);
    now += seconds + 0.2;
    EXPECT_EQ(ejection.state(At(now)), State::kDue);
    EXPECT_TRUE(Fail(ejection, now));
  }
}

TEST(EjectionTest, AnAnswerEndsItButTheNextFailureDoesNotWaitForThree) {
  Ejection ejection;
  ASSERT_TRUE(Fail(ejection, 1, 3));
  EXPECT_FALSE(ejection.OnAnswer(At(0.5)));  // of a call from before
  EXPECT_EQ(ejection.state(At(7)), State::kDue);
  EXPECT_TRUE(ejection.OnAnswer(At(7)));
  EXPECT_EQ(ejection.state(At(7.1)), State::kIn);
  EXPECT_TRUE(Fail(ejection, 8));
  EXPECT_EQ(ejection.duration(), absl::Seconds(10));
}

TEST(EjectionTest, ASuccessEndsTheTrial) {
  Ejection ejection;
  ASSERT_TRUE(Fail(ejection, 1, 3));
  EXPECT_TRUE(ejection.OnAnswer(At(7)));
  ejection.OnSuccess(kPolicy, At(7), At(8));
  EXPECT_FALSE(Fail(ejection, 9, 2));
  EXPECT_TRUE(Fail(ejection, 9));
}

TEST(EjectionTest, ASuccessAloneBringsItBackToo) {
  Ejection ejection;
  ASSERT_TRUE(Fail(ejection, 1, 3));
  ejection.OnSuccess(kPolicy, At(7), At(8));
  EXPECT_EQ(ejection.state(At(8)), State::kIn);
}

TEST(EjectionTest, AWorkerThatReconnectsIsDueAtOnce) {
  Ejection ejection;
  ejection.OnReconnect();
  EXPECT_EQ(ejection.state(At(1)), State::kIn);
  ASSERT_TRUE(Fail(ejection, 1, 3));
  EXPECT_EQ(ejection.state(At(1.5)), State::kOut);
  ejection.OnReconnect();
  EXPECT_EQ(ejection.state(At(1.5)), State::kDue);
  EXPECT_TRUE(Fail(ejection, 2));
  EXPECT_EQ(ejection.state(At(2.5)), State::kOut);
  EXPECT_EQ(ejection.duration(), absl::Seconds(10));
}

TEST(EjectionTest, CallsFromBeforeSayNothing) {
  Ejection ejection;
  ASSERT_TRUE(Fail(ejection, 10, 3));
  ejection.OnSuccess(kPolicy, At(5), At(11));
  EXPECT_EQ(ejection.state(At(11)), State::kOut);
  EXPECT_FALSE(ejection.OnFailure(kPolicy, At(5), At(16)));  // else it would be out for longer
  EXPECT_EQ(ejection.state(At(16)), State::kDue);
}

TEST(EjectionTest, AWorkerThatBehavesStartsAfresh) {
  Ejection ejection;
  ASSERT_TRUE(Fail(ejection, 1, 3));
  EXPECT_TRUE(ejection.OnAnswer(At(7)));
  ejection.OnSuccess(kPolicy, At(7), At(8));
  ejection.OnSuccess(kPolicy, At(99), At(100));
  ASSERT_TRUE(Fail(ejection, 101, 3));
  EXPECT_EQ(ejection.duration(), absl::Seconds(5));
}

}  // namespace
}  // namespace skein
