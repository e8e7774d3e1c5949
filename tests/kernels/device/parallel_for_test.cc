#include "kernels/device/parallel_for.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace skein {
namespace {

TEST(ParallelForTest, CallsEveryIndexOnceInRangesOfTheGrain) {
  struct Case {
    int threads;
    int64_t count, grain;
  };
  for (const Case& c : {Case{1, 10, 3}, Case{2, 0, 1}, Case{2, 1, 1}, Case{3, 1000, 7},
                        Case{4, 5, 8}, Case{3, 24, 24}, Case{8, 100, 1}}) {
    SCOPED_TRACE(c.count);
    ParallelFor threads(c.threads);
    EXPECT_EQ(threads.num_threads(), c.threads);
    std::vector<int> calls(c.count);
    std::atomic<int> odd_ranges{0};
    threads.Run(c.count, c.grain, [&](int64_t begin, int64_t end) {
      if (begin % c.grain != 0 || (end % c.grain != 0 && end != c.count)) ++odd_ranges;
      for (int64_t i = begin; i < end; ++i) ++calls[i];  // races if ranges overlap: TSan looks
    });
    EXPECT_EQ(calls, std::vector<int>(c.count, 1));
    EXPECT_EQ(odd_ranges, 0);
  }
}

TEST(ParallelForTest, WhatTasksWroteIsVisibleAfterRunThousandsOfTimes) {
  ParallelFor threads(3);
  std::vector<int64_t> values(64);
  for (int64_t round = 1; round <= 5000; ++round) {
    threads.Run(64, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) values[i] += i;
    });
    ASSERT_EQ(values[63], 63 * round);
  }
}

TEST(ParallelForTest, WorkersThatWentToSleepTakeTheNextJob) {
  ParallelFor threads(2);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));  // longer than workers spin
    std::atomic<int64_t> sum{0};
    std::atomic<bool> helped{false};
    const auto caller = std::this_thread::get_id();
    // Each range waits until the other thread has taken one, so a worker that slept on would hang
    // here.
    threads.Run(8, 1, [&](int64_t begin, int64_t end) {
      if (std::this_thread::get_id() != caller) helped = true;
      while (!helped) std::this_thread::yield();
      for (int64_t i = begin; i < end; ++i) sum += i;
    });
    EXPECT_EQ(sum, 28);
  }
}

TEST(ParallelForTest, TeamsComeAndGoWithAndWithoutWork) {
  for (int i = 0; i < 50; ++i) {
    ParallelFor threads(i % 4 + 1);
    if (i % 3 == 0) continue;
    std::atomic<int64_t> count{0};
    threads.Run(100, 1, [&](int64_t begin, int64_t end) { count += end - begin; });
    EXPECT_EQ(count, 100);
  }
}

TEST(ParallelForTest, ZeroThreadsMeansOnePerCore) { EXPECT_GE(ParallelFor(0).num_threads(), 1); }

}  // namespace
}  // namespace skein
