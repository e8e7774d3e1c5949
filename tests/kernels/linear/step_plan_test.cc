#include "kernels/linear/step_plan.h"

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"

namespace skein {
namespace {

const std::vector<std::vector<StepGroup>> kGroups = {
    {{1, 1}},
    {{1, 64}},
    {{128, 64}},
    {{32, 256}},
    {{32, 64}, {32, 64}, {32, 64}, {1, 64}, {1, 64}, {1, 64}, {4, 64}},
    {{32, 2}, {32, 2}, {32, 2}, {32, 8}},
    {{16, 2}, {3, 40}, {16, 8}, {5, 9}},
    {{20, 40}, {512, 2}},
};

template <typename F>
void ForPlans(F check) {
  for (const std::vector<StepGroup>& groups : kGroups) {
    for (const int blocks : {1, 2, 7, 108, 132, 1000}) {
      check(groups, PlanSteps(groups, blocks), blocks);
    }
  }
}

TEST(StepPlanTest, EveryStepIsTakenOnceAndInOrder) {
  ForPlans([](const std::vector<StepGroup>& groups, const StepPlan& plan, int blocks) {
    int64_t total = 0;
    for (const StepGroup& group : groups) total += group.tiles * group.steps;
    ASSERT_GE(plan.blocks, 1);
    ASSERT_LE(plan.blocks, std::min(blocks, kMaxStepBlocks));
    EXPECT_EQ(plan.begin[0], 0);
    EXPECT_EQ(plan.begin[plan.blocks], total);
    EXPECT_TRUE(std::is_sorted(plan.begin, plan.begin + plan.blocks + 1));
  });
}

TEST(StepPlanTest, ShortTilesAreNeverCut) {
  ForPlans([](const std::vector<StepGroup>& groups, const StepPlan& plan, int) {
    for (int b = 0; b <= plan.blocks; ++b) {
      int64_t at = plan.begin[b];
      for (const StepGroup& group : groups) {
        if (at < group.tiles * group.steps) {
          if (group.steps <= 8) {
            EXPECT_EQ(at % group.steps, 0);
          }
          break;
        }
        at -= group.tiles * group.steps;
      }
    }
  });
}

TEST(StepPlanTest, NoBlockHasMuchMoreThanItsShare) {
  ForPlans([](const std::vector<StepGroup>& groups, const StepPlan& plan, int) {
    int64_t longest_whole = 0;
    for (const StepGroup& group : groups) {
      if (group.steps <= 8) longest_whole = std::max(longest_whole, group.steps);
    }
    const int64_t share = (plan.begin[plan.blocks] + plan.blocks - 1) / plan.blocks;
    for (int b = 0; b < plan.blocks; ++b) {
      EXPECT_LE(plan.begin[b + 1] - plan.begin[b], share + longest_whole);
    }
  });
}

// What the blocks that share a tile rely on: the borders inside it are all different.
TEST(StepPlanTest, BordersInsideATileDiffer) {
  ForPlans([](const std::vector<StepGroup>& groups, const StepPlan& plan, int) {
    for (int b = 0; b < plan.blocks; ++b) {
      if (plan.begin[b] != plan.begin[b + 1]) continue;
      int64_t at = plan.begin[b];
      for (const StepGroup& group : groups) {
        if (at < group.tiles * group.steps) {
          EXPECT_EQ(at % group.steps, 0);
          break;
        }
        at -= group.tiles * group.steps;
      }
    }
  });
}

}  // namespace
}  // namespace skein
