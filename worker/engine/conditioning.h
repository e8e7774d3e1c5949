// What shapes the model for one request.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "worker/adapters/applied_adapters.h"
#include "worker/memory/initial_state.h"

namespace skein {

struct StateBranch {
  std::shared_ptr<const InitialState> state;  // null: zeros
  float weight = 1;                           // finite
};

// Branches run side by side over the same tokens, and each token is drawn from the sum of their
// logits times their weights, which nothing normalises here. None: zeros alone. All of them have
// the same adapters.
struct Conditioning {
  std::vector<StateBranch> branches;
  std::vector<AppliedAdapter> adapters;  // CheckApplied

  int num_branches() const { return std::max(1, static_cast<int>(branches.size())); }
  // False if the logits of a single branch are drawn from as they are.
  bool mixes() const {
    return branches.size() > 1 || (branches.size() == 1 && branches[0].weight != 1);
  }
};

}  // namespace skein
