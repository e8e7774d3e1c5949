// Which sequences have how many rows in the next step.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace skein {

// One running sequence, as the planner sees it.
struct PlanItem {
  int64_t remaining = 0;  // tokens to feed, at least 1; 1 is a decode, more a prefill
  bool scored = false;    // logits of every row are wanted, not of the last one alone
  uint64_t waited = 0;    // steps since it last had rows
};

struct PlannedRows {
  int item = 0;
  int rows = 0;
  bool operator==(const PlannedRows&) const = default;
};

// Pure: the plan depends on the arguments alone. Decodes come first, for they are what a reader
// waits for; while prompts wait, a quarter of the rows is theirs, so neither side starves the
// other. Decodes that do not all fit take turns, longest wait first. Prompts are fed oldest first,
// so each is finished after a bounded number of steps.
class Planner {
 public:
  struct Limits {
    int max_rows = 512;        // at least 2
    int prefill_chunk = 256;   // rows of one prompt in one step
    int max_scored_rows = 64;  // rows of scored prompts in one step
  };
  explicit Planner(const Limits& limits) : limits_(limits) {}

  // `items` in order of age, oldest first; the plan is in the same order.
  std::vector<PlannedRows> Plan(std::span<const PlanItem> items) const;

 private:
  int PrefillShare(std::span<const PlanItem> items) const;
  int PlanDecodes(std::span<const PlanItem> items, int budget,
                  std::vector<PlannedRows>& plan) const;
  void PlanPrefills(std::span<const PlanItem> items, int budget,
                    std::vector<PlannedRows>& plan) const;

  const Limits limits_;
};

}  // namespace skein
