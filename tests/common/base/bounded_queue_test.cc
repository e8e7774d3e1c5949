#include "common/base/bounded_queue.h"

#include <memory>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using ::testing::ElementsAre;

TEST(BoundedQueueTest, FirstInFirstOut) {
  BoundedQueue<int> queue(4);
  for (int i = 1; i <= 3; ++i) EXPECT_TRUE(queue.TryPush(int(i)));
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_EQ(queue.WaitPop(), 1);
  EXPECT_THAT(queue.PopAll(), ElementsAre(2, 3));
  EXPECT_TRUE(queue.PopAll().empty());
}

TEST(BoundedQueueTest, AFullQueueLeavesTheItemUntouched) {
  BoundedQueue<std::unique_ptr<int>> queue(1);
  EXPECT_TRUE(queue.TryPush(std::make_unique<int>(1)));
  auto item = std::make_unique<int>(2);
  EXPECT_FALSE(queue.TryPush(std::move(item)));
  ASSERT_NE(item, nullptr);
  EXPECT_TRUE(queue.PushUrgent(std::move(item)));
  EXPECT_EQ(queue.size(), 2u);
}

TEST(BoundedQueueTest, AClosedQueueGivesWhatItHasAndTakesNothing) {
  BoundedQueue<int> queue(4);
  EXPECT_TRUE(queue.TryPush(1));
  queue.Close();
  EXPECT_FALSE(queue.TryPush(2));
  EXPECT_FALSE(queue.PushUrgent(3));
  EXPECT_THAT(queue.WaitPopAll(), ElementsAre(1));
  EXPECT_TRUE(queue.WaitPopAll().empty());
  EXPECT_EQ(queue.WaitPop(), std::nullopt);
}

TEST(BoundedQueueTest, ClosingWakesAWaitingThread) {
  BoundedQueue<int> queue(1);
  std::thread waiting([&] { EXPECT_EQ(queue.WaitPop(), std::nullopt); });
  queue.Close();
  waiting.join();
}

TEST(BoundedQueueTest, NothingIsLostOrDoubledBetweenThreads) {
  constexpr int kPerThread = 2000;
  BoundedQueue<int> queue(16);
  std::vector<std::thread> pushers;
  for (int thread = 0; thread < 3; ++thread) {
    pushers.emplace_back([&queue, thread] {
      for (int i = 0; i < kPerThread; ++i) {
        while (!queue.TryPush(thread * kPerThread + i)) std::this_thread::yield();
      }
    });
  }
  std::vector<int> counts(3 * kPerThread);
  int popped = 0;
  while (popped < 3 * kPerThread) {
    for (const int item : queue.WaitPopAll()) {
      ++counts[item];
      ++popped;
    }
  }
  for (std::thread& pusher : pushers) pusher.join();
  EXPECT_EQ(counts, std::vector<int>(3 * kPerThread, 1));
}

}  // namespace
}  // namespace skein
