#include "worker/engine/planner.h"

#include <algorithm>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace skein {

void PrintTo(const PlannedRows& planned, std::ostream* out) {
  *out << "{" << planned.item << ", " << planned.rows << "}";
}

namespace {

TEST(PlannerTest, DecodesComeFirstAndPromptsShareTheRest) {
  struct Case {
    const char* name;
    std::vector<int64_t> remaining;
    Planner::Limits limits;
    std::vector<PlannedRows> plan;
  };
  const Case cases[] = {
      {"nothing", {}, {.max_rows = 8, .prefill_chunk = 4}, {}},
      {"decodes alone", {1, 1, 1}, {.max_rows = 8, .prefill_chunk = 4}, {{0, 1}, {1, 1}, {2, 1}}},
      {"one prompt, one chunk", {10}, {.max_rows = 8, .prefill_chunk = 4}, {{0, 4}}},
      {"the last chunk is short", {3}, {.max_rows = 8, .prefill_chunk = 4}, {{0, 3}}},
      {"two prompts", {10, 10}, {.max_rows = 8, .prefill_chunk = 4}, {{0, 4}, {1, 4}}},
      {"the last prompt is split", {10, 10}, {.max_rows = 6, .prefill_chunk = 4}, {{0, 4}, {1, 2}}},
      {"a third prompt waits", {9, 9, 9}, {.max_rows = 8, .prefill_chunk = 4}, {{0, 4}, {1, 4}}},
      {"mixed",
       {9, 1, 9, 1},
       {.max_rows = 8, .prefill_chunk = 4},
       {{0, 4}, {1, 1}, {2, 2}, {3, 1}}},
      {"decodes leave prompts a quarter",
       {1, 1, 1, 1, 1, 1, 1, 1, 9},
       {.max_rows = 8, .prefill_chunk = 4},
       {{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}, {8, 2}}},
      {"without prompts decodes take all rows",
       {1, 1, 1, 1},
       {.max_rows = 4, .prefill_chunk = 4},
       {{0, 1}, {1, 1}, {2, 1}, {3, 1}}},
      {"the smallest budget", {1, 9}, {.max_rows = 2, .prefill_chunk = 4}, {{0, 1}, {1, 1}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    std::vector<PlanItem> items;
    for (const int64_t remaining : c.remaining) items.push_back({.remaining = remaining});
    EXPECT_EQ(Planner(c.limits).Plan(items), c.plan);
  }
}

TEST(PlannerTest, PromptsBesideDecodesKeepToTheirRows) {
  const Planner planner({.max_rows = 64, .prefill_chunk = 32});
  const std::vector<PlanItem> mixed = {{.remaining = 1}, {.remaining = 50}, {.remaining = 50}};
  EXPECT_THAT(planner.Plan(mixed, 40),
              testing::ElementsAre(PlannedRows{0, 1}, PlannedRows{1, 32}, PlannedRows{2, 8}));
  EXPECT_THAT(planner.Plan(mixed, 5), testing::ElementsAre(PlannedRows{0, 1}, PlannedRows{1, 5}));
  // Alone they keep nobody waiting.
  const std::vector<PlanItem> prompts = {{.remaining = 50}, {.remaining = 50}};
  EXPECT_THAT(planner.Plan(prompts, 5),
              testing::ElementsAre(PlannedRows{0, 32}, PlannedRows{1, 32}));
  // A token of the first prompt always goes, with all its branches.
  const std::vector<PlanItem> wide = {{.remaining = 1}, {.remaining = 50, .branches = 12}};
  EXPECT_THAT(planner.Plan(wide, 5), testing::ElementsAre(PlannedRows{0, 1}, PlannedRows{1, 1}));
  // What prompts may not use is the decodes'.
  std::vector<PlanItem> many(63, {.remaining = 1});
  many.push_back({.remaining = 50});
  EXPECT_EQ(planner.Plan(many, 1).size(), 64u);
}

TEST(PlannerTest, DecodesThatWaitedLongestGoFirst) {
  const std::vector<PlanItem> items = {{.remaining = 1, .waited = 1},
                                       {.remaining = 1, .waited = 3},
                                       {.remaining = 1, .waited = 2},
                                       {.remaining = 1, .waited = 2}};
  EXPECT_THAT(Planner({.max_rows = 2}).Plan(items),
              testing::ElementsAre(PlannedRows{1, 1}, PlannedRows{2, 1}));
}

TEST(PlannerTest, AllBranchesOfAnItemHaveRowsInTheSameStepOrNone) {
  struct Case {
    const char* name;
    std::vector<PlanItem> items;
    std::vector<PlannedRows> plan;
  };
  const Planner planner({.max_rows = 16, .prefill_chunk = 8, .max_scored_rows = 10});
  EXPECT_EQ(planner.max_branches(), 4);
  const Case cases[] = {
      {"decodes", {{.remaining = 1, .branches = 4}, {.remaining = 1}}, {{0, 1}, {1, 1}}},
      {"a chunk counts rows", {{.remaining = 9, .branches = 3}}, {{0, 2}}},
      {"what does not fit whole waits",
       {{.remaining = 1, .branches = 4, .waited = 1},
        {.remaining = 1, .branches = 4, .waited = 4},
        {.remaining = 1, .branches = 4, .waited = 3},
        {.remaining = 1, .branches = 4, .waited = 2},
        {.remaining = 1, .branches = 1, .waited = 0},
        {.remaining = 5, .branches = 3}},
       {{1, 1}, {2, 1}, {3, 1}, {5, 1}}},
      {"and leaves its rows to others",
       {{.remaining = 1, .branches = 4, .waited = 2},
        {.remaining = 1, .branches = 3, .waited = 3},
        {.remaining = 1, .branches = 4, .waited = 3},
        {.remaining = 1, .branches = 4, .waited = 1},
        {.remaining = 1, .branches = 1, .waited = 0},
        {.remaining = 5, .branches = 4}},
       {{0, 1}, {1, 1}, {2, 1}, {4, 1}, {5, 1}}},
      {"scored rows",
       {{.remaining = 9, .branches = 4, .scored = true},
        {.remaining = 9, .branches = 4, .scored = true},
        {.remaining = 9, .branches = 2, .scored = true}},
       {{0, 2}, {2, 1}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(planner.Plan(c.items), c.plan);
  }
}

TEST(PlannerTest, ScoredRowsHaveABudgetOfTheirOwn) {
  const std::vector<PlanItem> items = {{.remaining = 9, .scored = true},
                                       {.remaining = 9, .scored = true},
                                       {.remaining = 9, .scored = true},
                                       {.remaining = 9}};
  EXPECT_THAT(Planner({.max_rows = 100, .prefill_chunk = 8, .max_scored_rows = 10}).Plan(items),
              testing::ElementsAre(PlannedRows{0, 8}, PlannedRows{1, 2}, PlannedRows{3, 8}));
}

// Plays random loads to their end: limits hold in every step, and nobody waits longer than its
// share demands.
TEST(PlannerTest, NobodyStarvesUnderRandomLoad) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    std::mt19937 random(seed);
    const Planner::Limits limits = {.max_rows = 2 + static_cast<int>(random() % 20),
                                    .prefill_chunk = 1 + static_cast<int>(random() % 9),
                                    .max_scored_rows = 3};
    const int max_branches = Planner(limits).max_branches();
    std::vector<PlanItem> items(1 + random() % 40);
    int all_branches = 0;
    for (PlanItem& item : items) {
      item = {.remaining = static_cast<int64_t>(1 + random() % 30), .scored = random() % 4 == 0};
      if (random() % 3 == 0) item.branches = 1 + static_cast<int>(random() % max_branches);
      all_branches += item.branches;
    }
    const int64_t total = int64_t{all_branches} * 30;
    std::vector<bool> fed(items.size());
    for (int64_t step = 0; step < total; ++step) {
      for (PlanItem& item : items) ++item.waited;
      int rows = 0, scored_rows = 0;
      const auto plan = Planner(limits).Plan(items);
      ASSERT_FALSE(plan.empty());
      for (const auto& [index, count] : plan) {
        PlanItem& item = items[index];
        ASSERT_LE(count, std::min<int64_t>(item.remaining, limits.prefill_chunk));
        ASSERT_GE(count, 1);
        if (count > 1) {
          ASSERT_LE(count * item.branches, limits.prefill_chunk);
        }
        rows += count * item.branches;
        if (item.scored && item.remaining > 1) scored_rows += count * item.branches;
        if (item.remaining == 1) {
          // Decodes share at least three quarters of the rows, and at least one; what the next in
          // line does not fit into may stay empty.
          const int share = std::max(1, limits.max_rows - std::max(1, limits.max_rows / 4));
          ASSERT_LE(item.waited, all_branches / std::max(1, share - max_branches + 1) + 2);
        }
        item.remaining =
            std::max<int64_t>(item.remaining - count, 1);  // a fed prompt goes on decoding
        item.waited = 0;
        fed[index] = fed[index] || item.remaining == 1;
      }
      ASSERT_LE(rows, limits.max_rows);
      ASSERT_LE(scored_rows, limits.max_scored_rows);
    }
    EXPECT_TRUE(std::all_of(fed.begin(), fed.end(), [](bool done) { return done; }));
  }
}

}  // namespace
}  // namespace skein
