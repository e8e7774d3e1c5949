// How many rows of prompts go into a step beside decodes.
#pragma once

#include "absl/time/time.h"

namespace skein {

// Whoever reads along waits for the whole step that a prompt shares with his sequence. So the rows
// follow the time that such steps take: fewer at once when one took longer than it should, more by
// and by while they stay below. Owned by the loop's thread.
class PrefillPace {
 public:
  // At least `least` rows, so that prompts go on however slow the model is, and at most `most`.
  PrefillPace(absl::Duration target, int least, int most);

  int rows() const { return static_cast<int>(rows_); }
  // After a step with `rows` rows of prompts beside decodes. Steps without decodes keep nobody
  // waiting and are none of its business.
  void Observe(int rows, absl::Duration time);

 private:
  const absl::Duration target_;
  const double least_, most_;
  double rows_;
};

}  // namespace skein
