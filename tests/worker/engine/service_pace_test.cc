#include "worker/engine/service_pace.h"

#include "gtest/gtest.h"

namespace skein {
namespace {

class ServicePaceTest : public testing::Test {
 protected:
  void After(absl::Duration time, int admitted, bool blocked) {
    now_ += time;
    pace_.Observe(now_, admitted, blocked);
  }
  double seconds() const { return absl::ToDoubleSeconds(pace_.PerRequest()); }

  absl::Time now_ = absl::FromUnixSeconds(1000);
  ServicePace pace_;
};

TEST_F(ServicePaceTest, KnowsNothingAtFirst) { EXPECT_EQ(seconds(), 0); }

TEST_F(ServicePaceTest, IsTheTimePerRequestOfABlockedQueue) {
  After(absl::ZeroDuration(), 1, true);
  for (int i = 0; i < 100; ++i) {
    After(absl::Seconds(1), 0, true);
    After(absl::Seconds(1), 4, true);
  }
  EXPECT_NEAR(seconds(), 0.5, 0.02);
}

TEST_F(ServicePaceTest, TimesWithoutAWaitingRequestDoNotCount) {
  After(absl::ZeroDuration(), 0, true);
  for (int i = 0; i < 20; ++i) After(absl::Seconds(2), 1, true);
  const double before = seconds();
  After(absl::Seconds(2), 1, false);
  for (int i = 0; i < 100; ++i) After(absl::Hours(1), 1, false);
  EXPECT_NEAR(seconds(), before, 0.01);
  EXPECT_NEAR(seconds(), 2, 0.01);
}

TEST_F(ServicePaceTest, GrowsWhileNothingMoves) {
  After(absl::ZeroDuration(), 0, true);
  After(absl::Seconds(3), 0, true);
  EXPECT_EQ(seconds(), 3);
  After(absl::Seconds(4), 0, true);
  EXPECT_GT(seconds(), 6);
}

TEST_F(ServicePaceTest, FollowsAChangeWithinAMinuteOrTwo) {
  After(absl::ZeroDuration(), 0, true);
  for (int i = 0; i < 600; ++i) After(absl::Milliseconds(100), 1, true);
  EXPECT_NEAR(seconds(), 0.1, 0.001);
  for (int i = 0; i < 60; ++i) After(absl::Seconds(2), 1, true);
  EXPECT_GT(seconds(), 1);
  EXPECT_LT(seconds(), 2);
}

TEST_F(ServicePaceTest, AClockThatIsSetBackDoesNoHarm) {
  After(absl::ZeroDuration(), 0, true);
  After(absl::Seconds(2), 1, true);
  After(-absl::Hours(1), 0, true);
  EXPECT_EQ(seconds(), 2);
}

}  // namespace
}  // namespace skein
