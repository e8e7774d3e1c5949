// Time as a parameter, so that tests decide what time it is.
#pragma once

#include "absl/time/time.h"

namespace skein {

class Clock {
 public:
  virtual ~Clock() = default;
  // As clocks on the wall tell it: it may be set, forwards and backwards.
  virtual absl::Time Now() const = 0;
  // Goes on evenly whatever Now does: for how long something takes. Good for differences alone.
  virtual absl::Time Steady() const = 0;

  // The machine's clock; lives for ever.
  static const Clock& Real();
};

}  // namespace skein
