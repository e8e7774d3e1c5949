// Which sequences have how many rows in the next step.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace skein {

// One running sequence, as the planner sees it.
struct PlanItem {
  int64_t remaining = 0;  // tokens to feed, at least 1; 1 is a decode, more a prefill
  int branches = 1;       // rows that each token takes, all in the same step
  bool scored = false;    // logits of every row are wanted, not of the last one alone
  uint64_t waited = 0;    // steps since it last had rows
};

struct PlannedRows {
  int item = 0;
  int rows = 0;  // of each branch
  bool operator==(const PlannedRows&) const = default;
};

// Pure: the plan depends on the arguments alone. Decodes come first, for they are what a reader
// waits for; while prompts wait, a quarter of the rows is theirs, so neither side starves the
// other. Decodes that do not all fit take turns, longest wait first. Prompts are fed oldest first,
// so each is finished after a bounded number of steps. All limits count the rows of all branches.
class Planner {
 public:
  struct Limits {
    int max_rows = 512;        // at least 2
    int prefill_chunk = 256;   // rows of one prompt in one step, or one of each branch
    int max_scored_rows = 64;  // rows of scored prompts in one step
  };
  explicit Planner(const Limits& limits) : limits_(limits) {}

  // Most branches of an item. A token of so many fits into the share of either side, so whoever is
  // first in line is served.
  int max_branches() const {
    return std::min(limits_.max_scored_rows, std::max(1, limits_.max_rows / 4));
  }

  // `items` in order of age, oldest first; the plan is in the same order. Beside decodes there are
  // at most `prefill_rows` rows of prompts, or one token of the first.
  std::vector<PlannedRows> Plan(std::span<const PlanItem> items,
                                int prefill_rows = std::numeric_limits<int>::max()) const;

 private:
  int64_t Chunk(const PlanItem& item) const;
  int PrefillShare(std::span<const PlanItem> items, int prefill_rows) const;
  int PlanDecodes(std::span<const PlanItem> items, int budget,
                  std::vector<PlannedRows>& plan) const;
  void PlanPrefills(std::span<const PlanItem> items, int budget,
                    std::vector<PlannedRows>& plan) const;

  const Limits limits_;
};

}  // namespace skein
