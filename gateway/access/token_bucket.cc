#include "gateway/access/token_bucket.h"

#include <algorithm>

namespace skein {
namespace {

// With this unit a limit of n per minute is n units per microsecond.
constexpr int64_t kUnits = 60'000'000;
// Deeper debts are forgotten: they would keep a key out for more than a quarter of an hour.
constexpr int64_t kMaxDebtMinutes = 14;
constexpr absl::Duration kLongestRefill = absl::Minutes(1 + kMaxDebtMinutes);

}  // namespace

void TokenBucket::Refill(int64_t limit, absl::Time now) {
  const int64_t full = limit * kUnits;
  level_ += std::max<int64_t>(0, full - limit_ * kUnits);
  limit_ = limit;
  const absl::Duration elapsed = std::clamp(now - updated_, absl::ZeroDuration(), kLongestRefill);
  const int64_t elapsed_us = absl::ToInt64Microseconds(elapsed);
  level_ = std::clamp(level_ + elapsed_us * limit, -kMaxDebtMinutes * full, full);
  // What is less than a microsecond waits for the next call, unless there is no room for it.
  const bool whole = now < updated_ || elapsed == kLongestRefill || level_ == full;
  updated_ = whole ? now : updated_ + absl::Microseconds(elapsed_us);
}

int64_t TokenBucket::available() const { return std::max<int64_t>(0, level_ / kUnits); }

absl::Duration TokenBucket::TimeUntil(int64_t amount) const {
  if (amount > limit_) return absl::InfiniteDuration();
  const int64_t missing = amount * kUnits - level_;
  if (missing <= 0) return absl::ZeroDuration();
  return absl::Microseconds((missing + limit_ - 1) / limit_);
}

void TokenBucket::Take(int64_t amount) {
  const int64_t most = level_ / kUnits + kMaxDebtMinutes * limit_;
  level_ -= std::clamp<int64_t>(amount, 0, most) * kUnits;
}

void TokenBucket::Return(int64_t amount) {
  const int64_t room = limit_ - level_ / kUnits;
  level_ = std::min(level_ + std::clamp<int64_t>(amount, 0, room) * kUnits, limit_ * kUnits);
}

}  // namespace skein
