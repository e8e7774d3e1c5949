// A bucket that fills by its limit per minute and holds a minute's worth.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace skein {

// Who takes no more than there is takes, in any span of t seconds, at most limit * (1 + t / 60),
// net of what was returned: a full bucket at once, and what flows in. Counts in whole fractions, so
// rounding adds nothing. Not thread-safe; time comes in through Refill, and a clock that is set
// back costs nothing.
class TokenBucket {
 public:
  static constexpr int64_t kMaxLimit = 1'000'000'000;

  // Lets flow in what came since the last call; the first one fills the bucket. `limit` is per
  // minute, 1 to kMaxLimit, and may change between calls: a higher one is there at once.
  void Refill(int64_t limit, absl::Time now);

  // The rest is as of the last Refill.
  int64_t limit() const { return limit_; }
  int64_t available() const;                       // 0 while in debt
  absl::Duration TimeUntil(int64_t amount) const;  // until so many are there; infinite above limit
  absl::Duration TimeUntilFull() const { return TimeUntil(limit_); }
  // More than there is makes a debt, which flows in first.
  void Take(int64_t amount);
  // Undoes a part of an earlier Take.
  void Return(int64_t amount);

 private:
  int64_t limit_ = 0;
  int64_t level_ = 0;  // in units of 1 / (60 * 10^6)
  absl::Time updated_;
};

}  // namespace skein
