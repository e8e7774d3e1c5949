// What shapes the model for one request.
#pragma once

#include <memory>
#include <vector>

#include "worker/memory/initial_state.h"

namespace skein {

struct StateBranch {
  std::shared_ptr<const InitialState> state;  // null: zeros
  float weight = 1;                           // finite
};

// Branches run side by side over the same tokens, and each token is drawn from the sum of their
// logits times their weights, which nothing normalises here. None: zeros alone.
struct Conditioning {
  std::vector<StateBranch> branches;
};

}  // namespace skein
