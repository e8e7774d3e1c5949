// How fast a queue moves that cannot move at will: what its clients are told to wait by.
#pragma once

#include "absl/time/time.h"

namespace skein {

// Only time in which requests had to stay behind counts: an empty queue says nothing of how fast a
// full one would move. What was observed fades with a time constant of half a minute.
class ServicePace {
 public:
  // After each round of admissions: `admitted` requests left the queue, and others had to stay if
  // `blocked` is set.
  void Observe(absl::Time now, int admitted, bool blocked);
  // From one request that leaves to the next. While none has: the time in which none did.
  absl::Duration PerRequest() const;

 private:
  absl::Time last_;
  bool blocked_ = false;  // from last_ on
  double seconds_ = 0;    // blocked, faded
  double admitted_ = 0;   // at the ends of these, faded
};

}  // namespace skein
