#include "worker/memory/page_pool.h"

#include <cstring>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace skein {
namespace {

constexpr PagePool::Layout kLayout = {.num_planes = 4, .token_bytes = 8, .page_tokens = 4};
constexpr int64_t kBytesPerPage = 4 * 8 * 4;

std::unique_ptr<PagePool> MakePool(int64_t pages) {
  return std::move(*PagePool::Create(kLayout, pages * kBytesPerPage));
}

char* Plane(const PagePool& pool, int plane, int32_t page) {
  return static_cast<char*>(pool.base()) + (plane * pool.num_pages() + page) * kLayout.page_bytes();
}

TEST(PagePoolTest, CapacityIsWhatTheBytesHold) {
  EXPECT_EQ(MakePool(7)->num_pages(), 7);
  EXPECT_EQ((*PagePool::Create(kLayout, 3 * kBytesPerPage - 1))->num_pages(), 2);
  EXPECT_EQ(PagePool::Create(kLayout, kBytesPerPage - 1).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(PagePoolTest, ExtendTakesExactlyTheMissingPages) {
  auto pool = MakePool(4);
  PageList pages;
  struct Case {
    int64_t tokens;
    size_t held;
  };
  for (const Case& c : {Case{1, 1}, Case{4, 1}, Case{5, 2}, Case{12, 3}, Case{2, 3}}) {
    EXPECT_TRUE(pool->Extend(pages, c.tokens));
    EXPECT_EQ(pages.size(), c.held) << c.tokens;
    EXPECT_EQ(pool->num_free(), 4 - static_cast<int64_t>(c.held));
  }
  PageList more;
  EXPECT_FALSE(pool->Extend(more, 5));
  EXPECT_TRUE(more.empty());
  EXPECT_EQ(pool->num_free(), 1);
  pool->Release(pages);
  EXPECT_EQ(pool->num_free(), 4);
}

TEST(PagePoolTest, ForkSharesFullPagesAndCopiesThePartialOne) {
  auto pool = MakePool(5);
  PageList pages;
  ASSERT_TRUE(pool->Extend(pages, 10));
  for (int plane = 0; plane < kLayout.num_planes; ++plane) {
    for (const int32_t page : pages)
      std::memset(Plane(*pool, plane, page), 16 * plane + page, kLayout.page_bytes());
  }
  auto fork = pool->Fork(pages, 10);
  ASSERT_TRUE(fork.ok());
  ASSERT_EQ(fork->size(), 3u);
  EXPECT_EQ((*fork)[0], pages[0]);
  EXPECT_EQ((*fork)[1], pages[1]);
  EXPECT_NE((*fork)[2], pages[2]);
  for (int plane = 0; plane < kLayout.num_planes; ++plane) {
    EXPECT_EQ(std::memcmp(Plane(*pool, plane, (*fork)[2]), Plane(*pool, plane, pages[2]),
                          kLayout.page_bytes()),
              0);
  }
  EXPECT_EQ(pool->num_free(), 1);
  pool->Release(pages);
  EXPECT_EQ(pool->num_free(), 2);  // the shared pages live on
  pool->Release(*fork);
  EXPECT_EQ(pool->num_free(), 5);
}

TEST(PagePoolTest, ForkAtAPageEndCopiesNothing) {
  auto pool = MakePool(2);
  PageList pages;
  ASSERT_TRUE(pool->Extend(pages, 8));
  auto fork = pool->Fork(pages, 8);
  ASSERT_TRUE(fork.ok());
  EXPECT_EQ(*fork, pages);
  EXPECT_EQ(pool->Fork(pages, 7).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(PagePoolTest, ForkLeavesOutPagesTakenAhead) {
  auto pool = MakePool(4);
  PageList pages;
  ASSERT_TRUE(pool->Extend(pages, 12));
  auto fork = pool->Fork(pages, 4);
  ASSERT_TRUE(fork.ok());
  EXPECT_THAT(*fork, testing::ElementsAre(pages[0]));
}

TEST(PagePoolTest, ModelsWithoutAttentionNeedNoPages) {
  auto pool = PagePool::Create({.num_planes = 0}, 0);
  ASSERT_TRUE(pool.ok());
  PageList pages;
  EXPECT_TRUE((*pool)->Extend(pages, 1 << 30));
  EXPECT_TRUE(pages.empty());
  EXPECT_TRUE((*pool)->Fork(pages, 1000)->empty());
}

TEST(PagePoolTest, NoPageIsLostOrHeldTwiceOverRandomUse) {
  auto pool = MakePool(40);
  std::mt19937 random(3);
  struct Holder {
    PageList pages;
    int64_t tokens = 0;
  };
  std::vector<Holder> holders;
  for (int turn = 0; turn < 3000; ++turn) {
    const size_t i = holders.empty() ? 0 : random() % holders.size();
    switch (random() % 4) {
      case 0:
        holders.emplace_back();
        break;
      case 1:
        if (!holders.empty() && pool->Extend(holders[i].pages, holders[i].tokens + 3))
          holders[i].tokens += 3;
        break;
      case 2:
        if (!holders.empty()) {
          auto fork = pool->Fork(holders[i].pages, holders[i].tokens);
          if (fork.ok()) holders.push_back({*fork, holders[i].tokens});
        }
        break;
      default:
        if (!holders.empty()) {
          pool->Release(holders[i].pages);
          holders.erase(holders.begin() + static_cast<int64_t>(i));
        }
    }
    std::set<int32_t> held;
    std::multiset<int32_t> last;  // pages still written: never shared
    for (const Holder& holder : holders) {
      held.insert(holder.pages.begin(), holder.pages.end());
      if (holder.tokens % 4 != 0) last.insert(holder.pages[holder.tokens / 4]);
    }
    ASSERT_EQ(static_cast<int64_t>(held.size()) + pool->num_free(), 40);
    for (const int32_t page : last) ASSERT_EQ(last.count(page), 1u);
  }
}

}  // namespace
}  // namespace skein
