#include "kernels/linear/step_plan.h"

#include <algorithm>

namespace skein {
namespace {

constexpr int64_t kWholeSteps = 8;     // tiles of up to this many steps stay whole
constexpr int64_t kMinBlockSteps = 2;  // worth a block

// The border nearest to `at` at which a cut is allowed.
int64_t Snapped(std::span<const StepGroup> groups, int64_t at) {
  int64_t first = 0;
  for (const StepGroup& group : groups) {
    const int64_t end = first + group.tiles * group.steps;
    if (at < end) {
      if (group.steps > kWholeSteps) return at;
      return first + (at - first + group.steps / 2) / group.steps * group.steps;
    }
    first = end;
  }
  return at;
}

}  // namespace

StepPlan PlanSteps(std::span<const StepGroup> groups, int max_blocks) {
  int64_t total = 0;
  for (const StepGroup& group : groups) total += group.tiles * group.steps;
  StepPlan plan;
  const int64_t limit = std::min(max_blocks, kMaxStepBlocks);
  plan.blocks = static_cast<int>(std::clamp<int64_t>(total / kMinBlockSteps, 1, limit));
  for (int b = 0; b <= plan.blocks; ++b) {
    plan.begin[b] = static_cast<int32_t>(Snapped(groups, total * b / plan.blocks));
  }
  return plan;
}

}  // namespace skein
