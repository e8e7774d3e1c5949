#include "gateway/grpc/upload_budget.h"

#include <vector>

#include "gtest/gtest.h"

#include "common/base/retry_after.h"

namespace skein {
namespace {

class Someone final : public Uploader {
 public:
  bool OnTurn() override {
    ++turns;
    return wants;
  }

  int turns = 0;
  bool wants = true;
};

std::vector<std::shared_ptr<Someone>> People(int count) {
  std::vector<std::shared_ptr<Someone>> people;
  for (int i = 0; i < count; ++i) people.push_back(std::make_shared<Someone>());
  return people;
}

constexpr UploadBudget::Rules kRules = {
    .total_bytes = 40, .request_bytes = 10, .caller_bytes = 20, .max_waiting = 3};

TEST(UploadBudgetTest, RequestsAreReadWhileThereIsRoomForTheLargest) {
  UploadBudget budget(kRules);
  const auto people = People(5);
  for (const auto& one : people) EXPECT_TRUE(budget.Ask("", one).ok());
  for (int i = 0; i < 4; ++i) EXPECT_EQ(people[i]->turns, 1) << i;
  EXPECT_EQ(people[4]->turns, 0);
  EXPECT_EQ(budget.taken_bytes(), 40u);
  budget.Return("", 9);  // a small one is there
  EXPECT_EQ(people[4]->turns, 0);
  budget.Return("", 1);
  EXPECT_EQ(people[4]->turns, 1);
  EXPECT_EQ(budget.taken_bytes(), 40u);
}

TEST(UploadBudgetTest, ACallerWithItsShareLetsOthersPass) {
  UploadBudget budget(kRules);
  const auto people = People(4);
  EXPECT_TRUE(budget.Ask("a", people[0]).ok());
  EXPECT_TRUE(budget.Ask("a", people[1]).ok());
  EXPECT_TRUE(budget.Ask("a", people[2]).ok());
  EXPECT_TRUE(budget.Ask("b", people[3]).ok());
  EXPECT_EQ(people[2]->turns, 0);
  EXPECT_EQ(people[3]->turns, 1);
  budget.Return("b", 10);
  EXPECT_EQ(people[2]->turns, 0);
  budget.Return("a", 10);
  EXPECT_EQ(people[2]->turns, 1);
}

TEST(UploadBudgetTest, ACrowdOfOneCallerKeepsNoOtherOut) {
  UploadBudget budget(kRules);
  const auto people = People(6);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(budget.Ask("a", people[i]).ok()) << i;
  EXPECT_FALSE(budget.Ask("a", people[5]).ok());
  EXPECT_TRUE(budget.Ask("b", people[5]).ok());
  EXPECT_EQ(people[5]->turns, 1);
}

TEST(UploadBudgetTest, TheyComeInTheirOrder) {
  UploadBudget budget({.total_bytes = 10, .request_bytes = 10, .max_waiting = 3});
  const auto people = People(3);
  for (const auto& one : people) EXPECT_TRUE(budget.Ask("", one).ok());
  EXPECT_EQ(people[1]->turns, 0);
  budget.Return("", 10);
  EXPECT_EQ(people[1]->turns, 1);
  EXPECT_EQ(people[2]->turns, 0);
}

TEST(UploadBudgetTest, WhoHasLeftTakesNothing) {
  UploadBudget budget({.total_bytes = 10, .request_bytes = 10, .max_waiting = 3});
  auto people = People(4);
  for (const auto& one : people) EXPECT_TRUE(budget.Ask("a", one).ok());
  people[1].reset();
  people[2]->wants = false;
  budget.Return("a", 10);
  EXPECT_EQ(people[2]->turns, 1);
  EXPECT_EQ(people[3]->turns, 1);
  EXPECT_EQ(budget.taken_bytes(), 10u);
  budget.Return("a", 10);
  EXPECT_EQ(budget.taken_bytes(), 0u);
}

TEST(UploadBudgetTest, SoManyMayWait) {
  UploadBudget budget({.total_bytes = 10, .request_bytes = 10, .max_waiting = 2});
  auto people = People(4);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(budget.Ask("", people[i]).ok()) << i;
  const absl::Status status = budget.Ask("", people[3]);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_TRUE(RetryAfterOf(status).has_value());
  people[1].reset();  // has left, so its place is free
  EXPECT_TRUE(budget.Ask("", people[3]).ok());
  budget.Return("", 10);
  EXPECT_EQ(people[2]->turns, 1);
}

}  // namespace
}  // namespace skein
