#include "gateway/access/key_limits.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "tests/testing/fake_clock.h"

namespace skein {
namespace {

using Outcome = KeyLimits::Outcome;

std::string HeaderOf(const HeaderList& headers, const std::string& name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "none";
}

TEST(KeyLimitsTest, WithoutRulesNothingIsLimited) {
  FakeClock clock;
  KeyLimits limits;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(limits.Admit(1'000'000, clock.Now()).outcome, Outcome::kAdmitted);
  }
  EXPECT_TRUE(limits.RateLimitHeaders(clock.Now()).empty());
}

TEST(KeyLimitsTest, WhatIsRefusedIsNotCharged) {
  FakeClock clock;
  KeyLimits limits;
  limits.SetRules({.requests_per_minute = 2, .tokens_per_minute = 100});
  EXPECT_EQ(limits.Admit(90, clock.Now()).outcome, Outcome::kAdmitted);
  const KeyLimits::Decision refused = limits.Admit(20, clock.Now());
  EXPECT_EQ(refused.outcome, Outcome::kTokens);
  EXPECT_EQ(refused.retry_after, absl::Seconds(6));
  EXPECT_EQ(refused.rules.tokens_per_minute, 100);
  EXPECT_EQ(limits.Admit(10, clock.Now()).outcome, Outcome::kAdmitted);
  const KeyLimits::Decision third = limits.Admit(0, clock.Now());
  EXPECT_EQ(third.outcome, Outcome::kRequests);
  EXPECT_EQ(third.retry_after, absl::Seconds(30));
}

TEST(KeyLimitsTest, ARequestThatNeverFitsIsToldSo) {
  KeyLimits limits;
  limits.SetRules({.tokens_per_minute = 100});
  EXPECT_EQ(limits.Admit(101, absl::UnixEpoch()).retry_after, absl::InfiniteDuration());
}

TEST(KeyLimitsTest, ParallelRequestsEnd) {
  FakeClock clock;
  KeyLimits limits;
  limits.SetRules({.max_parallel = 2});
  EXPECT_EQ(limits.Admit(0, clock.Now()).outcome, Outcome::kAdmitted);
  EXPECT_EQ(limits.Admit(0, clock.Now()).outcome, Outcome::kAdmitted);
  EXPECT_EQ(limits.Admit(0, clock.Now()).outcome, Outcome::kParallel);
  limits.Finish(0, clock.Now());
  EXPECT_EQ(limits.Admit(0, clock.Now()).outcome, Outcome::kAdmitted);
}

TEST(KeyLimitsTest, HeadersTellWhatIsLeft) {
  FakeClock clock;
  KeyLimits limits;
  limits.SetRules({.requests_per_minute = 60, .tokens_per_minute = 600});
  HeaderList headers = limits.RateLimitHeaders(clock.Now());
  EXPECT_EQ(HeaderOf(headers, "x-ratelimit-reset-tokens"), "0s");
  limits.Admit(100, clock.Now());
  headers = limits.RateLimitHeaders(clock.Now());
  EXPECT_EQ(headers.size(), 6u);
  EXPECT_EQ(HeaderOf(headers, "x-ratelimit-limit-requests"), "60");
  EXPECT_EQ(HeaderOf(headers, "x-ratelimit-remaining-requests"), "59");
  EXPECT_EQ(HeaderOf(headers, "x-ratelimit-reset-requests"), "1s");
  EXPECT_EQ(HeaderOf(headers, "x-ratelimit-limit-tokens"), "600");
  EXPECT_EQ(HeaderOf(headers, "x-ratelimit-remaining-tokens"), "500");
  EXPECT_EQ(HeaderOf(headers, "x-ratelimit-reset-tokens"), "10s");
  limits.TakeMore(900, clock.Now());
  headers = limits.RateLimitHeaders(clock.Now());
  EXPECT_EQ(HeaderOf(headers, "x-ratelimit-remaining-tokens"), "0");
  EXPECT_EQ(HeaderOf(headers, "x-ratelimit-reset-tokens"), "1m40s");
  limits.Finish(50, clock.Now());
  EXPECT_EQ(HeaderOf(limits.RateLimitHeaders(clock.Now()), "x-ratelimit-reset-tokens"), "1m35s");
}

TEST(KeyLimitsTest, ManyThreadsGetNoMoreThanOne) {
  FakeClock clock;
  KeyLimits limits;
  limits.SetRules({.requests_per_minute = 1000, .tokens_per_minute = 5000, .max_parallel = 3});
  std::atomic<int> admitted{0};
  std::atomic<int> running{0};
  std::atomic<bool> too_many{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 2000; ++j) {
        if (limits.Admit(7, clock.Now()).outcome != Outcome::kAdmitted) continue;
        if (++running > 3) too_many = true;
        ++admitted;
        limits.RateLimitHeaders(clock.Now());
        --running;
        limits.Finish(2, clock.Now());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(too_many);
  EXPECT_LE(admitted, 1000);
  EXPECT_GE(admitted, 995);
}

}  // namespace
}  // namespace skein
