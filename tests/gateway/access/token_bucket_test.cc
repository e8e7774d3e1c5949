#include "gateway/access/token_bucket.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"

#include "tests/testing/fake_clock.h"

namespace skein {
namespace {

TEST(TokenBucketTest, IsFullAtFirstAndFillsByItsLimitPerMinute) {
  FakeClock clock;
  TokenBucket bucket;
  bucket.Refill(60, clock.Now());
  EXPECT_EQ(bucket.available(), 60);
  bucket.Take(60);
  EXPECT_EQ(bucket.available(), 0);
  EXPECT_EQ(bucket.TimeUntil(1), absl::Seconds(1));
  EXPECT_EQ(bucket.TimeUntilFull(), absl::Minutes(1));
  clock.Advance(absl::Milliseconds(2500));
  bucket.Refill(60, clock.Now());
  EXPECT_EQ(bucket.available(), 2);
  EXPECT_EQ(bucket.TimeUntil(3), absl::Milliseconds(500));
  clock.Advance(absl::Hours(5));
  bucket.Refill(60, clock.Now());
  EXPECT_EQ(bucket.available(), 60);
}

TEST(TokenBucketTest, WhatIsAboveTheLimitIsNeverThere) {
  TokenBucket bucket;
  bucket.Refill(10, absl::UnixEpoch());
  EXPECT_EQ(bucket.TimeUntil(10), absl::ZeroDuration());
  EXPECT_EQ(bucket.TimeUntil(11), absl::InfiniteDuration());
}

TEST(TokenBucketTest, ADebtFlowsInFirst) {
  FakeClock clock;
  TokenBucket bucket;
  bucket.Refill(60, clock.Now());
  bucket.Take(90);
  EXPECT_EQ(bucket.available(), 0);
  EXPECT_EQ(bucket.TimeUntil(1), absl::Seconds(31));
  bucket.Return(20);
  EXPECT_EQ(bucket.TimeUntil(1), absl::Seconds(11));
  bucket.Return(1000);
  EXPECT_EQ(bucket.available(), 60);
}

TEST(TokenBucketTest, AHugeDebtIsOverInAQuarterOfAnHour) {
  FakeClock clock;
  TokenBucket bucket;
  bucket.Refill(TokenBucket::kMaxLimit, clock.Now());
  for (int i = 0; i < 5; ++i) bucket.Take(INT64_MAX / 2);
  EXPECT_LE(bucket.TimeUntilFull(), absl::Minutes(15));
  clock.Advance(absl::Minutes(15));
  bucket.Refill(TokenBucket::kMaxLimit, clock.Now());
  EXPECT_EQ(bucket.available(), TokenBucket::kMaxLimit);
}

TEST(TokenBucketTest, AClockThatIsSetBackCostsNothing) {
  FakeClock clock;
  TokenBucket bucket;
  bucket.Refill(60, clock.Now());
  bucket.Take(60);
  clock.Advance(-absl::Hours(2));
  bucket.Refill(60, clock.Now());
  EXPECT_EQ(bucket.available(), 0);
  clock.Advance(absl::Seconds(10));
  bucket.Refill(60, clock.Now());
  EXPECT_EQ(bucket.available(), 10);
}

TEST(TokenBucketTest, ANewLimitHoldsFromTheNextCall) {
  FakeClock clock;
  TokenBucket bucket;
  bucket.Refill(10, clock.Now());
  bucket.Take(8);
  bucket.Refill(100, clock.Now());
  EXPECT_EQ(bucket.available(), 92);
  bucket.Refill(5, clock.Now());
  EXPECT_EQ(bucket.available(), 5);
}

// Everything that ever got through, each with its time.
struct Taken {
  absl::Time time;
  int64_t amount;
};

TEST(TokenBucketTest, NoSpanOfTimeLetsMoreThroughThanItsLimit) {
  std::mt19937 random(7);
  for (int round = 0; round < 40; ++round) {
    const int64_t limit =
        std::uniform_int_distribution<int64_t>(1, round % 2 == 0 ? 50 : 5000)(random);
    const int64_t largest = std::max<int64_t>(1, limit / 5);
    FakeClock clock;
    TokenBucket bucket;
    std::vector<Taken> taken;
    int64_t total = 0;
    for (int i = 0; i < 400; ++i) {
      // Bursts, and pauses of odd lengths.
      if (random() % 3 == 0) clock.Advance(absl::Nanoseconds(random() % 7'000'000'003));
      bucket.Refill(limit, clock.Now());
      const int64_t amount = 1 + static_cast<int64_t>(random() % largest);
      if (bucket.TimeUntil(amount) > absl::ZeroDuration()) continue;
      bucket.Take(amount);
      taken.push_back({clock.Now(), amount});
      total += amount;
    }
    // Greedy use must also get what the limit promises.
    const double minutes = absl::ToDoubleMinutes(clock.Now() - absl::FromUnixSeconds(1000));
    EXPECT_GE(total, static_cast<int64_t>(0.5 * limit * std::min(1.0, minutes)));
    for (size_t first = 0; first < taken.size(); ++first) {
      int64_t sum = 0;
      for (size_t last = first; last < taken.size(); ++last) {
        sum += taken[last].amount;
        const double span_s = absl::ToDoubleSeconds(taken[last].time - taken[first].time);
        ASSERT_LE(static_cast<double>(sum), static_cast<double>(limit) * (1 + span_s / 60) + 1e-6)
            << "limit " << limit << ", " << span_s << " s";
      }
    }
  }
}

TEST(TokenBucketTest, WaitingAsLongAsItSaysIsEnoughAndNoLonger) {
  std::mt19937 random(11);
  for (int round = 0; round < 1000; ++round) {
    const int64_t limit = 1 + static_cast<int64_t>(random() % 100000);
    FakeClock clock;
    TokenBucket bucket;
    bucket.Refill(limit, clock.Now());
    bucket.Take(limit);
    const int64_t amount = 1 + static_cast<int64_t>(random()) % limit;
    const absl::Duration wait = bucket.TimeUntil(amount);
    clock.Advance(wait - absl::Microseconds(1));
    bucket.Refill(limit, clock.Now());
    EXPECT_GT(bucket.TimeUntil(amount), absl::ZeroDuration());
    clock.Advance(absl::Microseconds(1));
    bucket.Refill(limit, clock.Now());
    EXPECT_EQ(bucket.TimeUntil(amount), absl::ZeroDuration());
  }
}

}  // namespace
}  // namespace skein
