#include "worker/engine/planner.h"

#include <algorithm>

namespace skein {

std::vector<PlannedRows> Planner::Plan(std::span<const PlanItem> items) const {
  std::vector<PlannedRows> plan;
  plan.reserve(items.size());
  const int decodes = PlanDecodes(items, limits_.max_rows - PrefillShare(items), plan);
  PlanPrefills(items, limits_.max_rows - decodes, plan);
  std::sort(plan.begin(), plan.end(),
            [](const PlannedRows& a, const PlannedRows& b) { return a.item < b.item; });
  return plan;
}

int Planner::PrefillShare(std::span<const PlanItem> items) const {
  const int64_t most = std::max(1, limits_.max_rows / 4);
  int64_t wanted = 0;
  for (const PlanItem& item : items) {
    if (item.remaining > 1) {
      wanted = std::min(most, wanted + std::min<int64_t>(item.remaining, limits_.prefill_chunk));
    }
  }
  return static_cast<int>(wanted);
}

int Planner::PlanDecodes(std::span<const PlanItem> items, int budget,
                         std::vector<PlannedRows>& plan) const {
  for (int i = 0; i < static_cast<int>(items.size()); ++i) {
    if (items[i].remaining == 1) plan.push_back({i, 1});
  }
  if (static_cast<int>(plan.size()) > budget) {
    std::stable_sort(plan.begin(), plan.end(), [&](const PlannedRows& a, const PlannedRows& b) {
      return items[a.item].waited > items[b.item].waited;
    });
    plan.resize(budget);
  }
  return static_cast<int>(plan.size());
}

void Planner::PlanPrefills(std::span<const PlanItem> items, int budget,
                           std::vector<PlannedRows>& plan) const {
  int scored_budget = limits_.max_scored_rows;
  for (int i = 0; i < static_cast<int>(items.size()) && budget > 0; ++i) {
    if (items[i].remaining <= 1) continue;
    int rows =
        static_cast<int>(std::min<int64_t>({items[i].remaining, limits_.prefill_chunk, budget}));
    if (items[i].scored) {
      rows = std::min(rows, scored_budget);
      scored_budget -= rows;
    }
    if (rows == 0) continue;
    plan.push_back({i, rows});
    budget -= rows;
  }
}

}  // namespace skein
