#include "worker/engine/planner.h"

#include <algorithm>

namespace skein {
namespace {

// Rows of one token of the first prompt; 0 without prompts.
int FirstPrompt(std::span<const PlanItem> items) {
  for (const PlanItem& item : items) {
    if (item.remaining > 1) return item.branches;
  }
  return 0;
}

}  // namespace

std::vector<PlannedRows> Planner::Plan(std::span<const PlanItem> items, int prefill_rows) const {
  std::vector<PlannedRows> plan;
  plan.reserve(items.size());
  const int most = std::max(prefill_rows, FirstPrompt(items));
  const int decodes = PlanDecodes(items, limits_.max_rows - PrefillShare(items, most), plan);
  const int room = limits_.max_rows - decodes;
  PlanPrefills(items, decodes > 0 ? std::min(room, most) : room, plan);
  std::sort(plan.begin(), plan.end(),
            [](const PlannedRows& a, const PlannedRows& b) { return a.item < b.item; });
  return plan;
}

// Tokens of the item in one step, if nothing else were in it.
int64_t Planner::Chunk(const PlanItem& item) const {
  return std::min<int64_t>(item.remaining, std::max(1, limits_.prefill_chunk / item.branches));
}

int Planner::PrefillShare(std::span<const PlanItem> items, int prefill_rows) const {
  const int64_t most = std::min(std::max(1, limits_.max_rows / 4), prefill_rows);
  int64_t wanted = 0;
  for (const PlanItem& item : items) {
    if (item.remaining > 1) wanted = std::min(most, wanted + Chunk(item) * item.branches);
  }
  return static_cast<int>(wanted);
}

int Planner::PlanDecodes(std::span<const PlanItem> items, int budget,
                         std::vector<PlannedRows>& plan) const {
  int rows = 0;
  for (int i = 0; i < static_cast<int>(items.size()); ++i) {
    if (items[i].remaining != 1) continue;
    plan.push_back({i, 1});
    rows += items[i].branches;
  }
  if (rows <= budget) return rows;
  std::stable_sort(plan.begin(), plan.end(), [&](const PlannedRows& a, const PlannedRows& b) {
    return items[a.item].waited > items[b.item].waited;
  });
  rows = 0;
  size_t kept = 0;
  for (const PlannedRows& planned : plan) {
    const int branches = items[planned.item].branches;
    if (rows + branches > budget) continue;
    rows += branches;
    plan[kept++] = planned;
  }
  plan.resize(kept);
  return rows;
}

void Planner::PlanPrefills(std::span<const PlanItem> items, int budget,
                           std::vector<PlannedRows>& plan) const {
  int scored_budget = limits_.max_scored_rows;
  for (int i = 0; i < static_cast<int>(items.size()) && budget > 0; ++i) {
    const PlanItem& item = items[i];
    if (item.remaining <= 1) continue;
    int tokens = static_cast<int>(std::min<int64_t>(Chunk(item), budget / item.branches));
    if (item.scored) {
      tokens = std::min(tokens, scored_budget / item.branches);
      scored_budget -= tokens * item.branches;
    }
    if (tokens == 0) continue;
    plan.push_back({i, tokens});
    budget -= tokens * item.branches;
  }
}

}  // namespace skein
