#include "worker/memory/state_pool.h"

#include <algorithm>
#include <cstring>
#include <set>

#include <gtest/gtest.h>

namespace skein {
namespace {

constexpr int64_t kBytes = 24;

char* Record(const StatePool& pool, int32_t slot) {
  return static_cast<char*>(pool.base()) + slot * kBytes;
}

bool IsZero(const StatePool& pool, int32_t slot) {
  const char* record = Record(pool, slot);
  return std::all_of(record, record + kBytes, [](char c) { return c == 0; });
}

TEST(StatePoolTest, HandsOutEachSlotOnceAndNeverTheZeroState) {
  auto pool = StatePool::Create(kBytes, 3);
  ASSERT_TRUE(pool.ok());
  std::set<int32_t> slots;
  for (int i = 0; i < 3; ++i) slots.insert(*(*pool)->Allocate());
  EXPECT_EQ(slots, (std::set<int32_t>{1, 2, 3}));
  EXPECT_EQ((*pool)->num_free(), 0);
  EXPECT_EQ((*pool)->Allocate().status().code(), absl::StatusCode::kResourceExhausted);
  (*pool)->Free(2);
  EXPECT_EQ(*(*pool)->Allocate(), 2);
}

TEST(StatePoolTest, AReusedSlotIsZeroAgain) {
  auto pool = StatePool::Create(kBytes, 1);
  const int32_t slot = *(*pool)->Allocate();
  std::memset(Record(**pool, slot), 0xff, kBytes);
  (*pool)->Free(slot);
  EXPECT_EQ(*(*pool)->Allocate(), slot);
  EXPECT_TRUE(IsZero(**pool, slot));
}

TEST(StatePoolTest, CopyTakesTheWholeRecordAndNothingElse) {
  auto pool = StatePool::Create(kBytes, 3);
  for (int i = 0; i < 3; ++i) (void)(*pool)->Allocate();
  std::memset(Record(**pool, 2), 0x5a, kBytes);
  (*pool)->Copy(2, 1);
  EXPECT_EQ(std::memcmp(Record(**pool, 1), Record(**pool, 2), kBytes), 0);
  EXPECT_TRUE(IsZero(**pool, 0));
  EXPECT_TRUE(IsZero(**pool, 3));
  (*pool)->Clear(1);
  EXPECT_TRUE(IsZero(**pool, 1));
}

TEST(StatePoolTest, InstallFillsOneRecord) {
  auto pool = StatePool::Create(kBytes, 2);
  for (int i = 0; i < 2; ++i) (void)(*pool)->Allocate();
  InitialState state = {*Arena::Create(kBytes), "5a"};
  std::memset(state.record->data(), 0x5a, kBytes);
  (*pool)->Install(state, 2);
  EXPECT_EQ(std::memcmp(Record(**pool, 2), state.record->data(), kBytes), 0);
  EXPECT_TRUE(IsZero(**pool, 1));
}

TEST(StatePoolTest, RecordsMayBeEmptyButSlotsAreCountedStill) {
  auto pool = StatePool::Create(0, 2);
  ASSERT_TRUE(pool.ok());
  EXPECT_TRUE((*pool)->Allocate().ok());
  EXPECT_TRUE((*pool)->Allocate().ok());
  EXPECT_FALSE((*pool)->Allocate().ok());
}

TEST(StatePoolTest, RefusesImpossibleSizes) {
  EXPECT_EQ(StatePool::Create(kBytes, 0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(StatePool::Create(int64_t{1} << 52, 8).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(StatePoolDeathTest, FreeingASlotTwiceIsCaught) {
  auto pool = StatePool::Create(kBytes, 2);
  const int32_t slot = *(*pool)->Allocate();
  (*pool)->Free(slot);
  EXPECT_DEATH((*pool)->Free(slot), "check failed");
  EXPECT_DEATH((*pool)->Free(StatePool::kZeroSlot), "check failed");
}

}  // namespace
}  // namespace skein
