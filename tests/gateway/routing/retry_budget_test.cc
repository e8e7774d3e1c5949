#include "gateway/routing/retry_budget.h"

#include <vector>

#include "gtest/gtest.h"

namespace skein {
namespace {

TEST(RetryBudgetTest, IsAShareOfTheRequestsAndTenMore) {
  struct Case {
    uint32_t percent;
    int requests;
    int retries;
  };
  for (const Case& c :
       {Case{20, 0, 10}, Case{20, 1000, 210}, Case{20, 1003, 210}, Case{20, 1005, 211},
        Case{100, 50, 60}, Case{1, 1000, 20}, Case{0, 1000, 0}}) {
    RetryBudget budget(c.percent);
    int retries = 0;
    while (budget.TakeRetry()) ++retries;
    for (int i = 0; i < c.requests; ++i) {  // each of them would be retried
      budget.OnRequest();
      if (budget.TakeRetry()) ++retries;
    }
    EXPECT_EQ(retries, c.retries) << c.percent << "% of " << c.requests;
  }
}

TEST(RetryBudgetTest, DoesNotSaveUpMoreThanTen) {
  RetryBudget budget(20);
  for (int i = 0; i < 10000; ++i) budget.OnRequest();
  int retries = 0;
  while (budget.TakeRetry()) ++retries;
  EXPECT_EQ(retries, 10);
}

}  // namespace
}  // namespace skein
