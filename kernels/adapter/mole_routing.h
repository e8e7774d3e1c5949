// Which experts of a mixture work on a token.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/adapter/adapter_module.h"

namespace skein {

struct ExpertChoice {
  int64_t expert = 0;
  float weight = 0;
};

// At most this many work on a token.
inline constexpr int64_t kMaxActiveExperts = 64;

// `scores` are the router's, one for each expert but the first. Fills `choices`, of `active` places
// or more, and returns how many it took: by rule 2 the best of 0 and the scores, best first, with
// the softmax over them; by rule 1 as mole.h's experts say. Rounds the same everywhere.
int64_t ChooseExperts(const MoleExperts& experts, std::span<const float> scores,
                      std::span<ExpertChoice> choices);

}  // namespace skein
