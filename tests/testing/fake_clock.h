// A clock that stands still until it is moved.
#pragma once

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"

#include "common/base/clock.h"

namespace skein {

// Thread-safe. Starts at second 1000 of the epoch.
class FakeClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::FromUnixNanos(nanos_.load() + set_.load()); }
  absl::Time Steady() const override { return absl::FromUnixNanos(nanos_.load()); }
  void Advance(absl::Duration by) { nanos_ += absl::ToInt64Nanoseconds(by); }
  // Somebody sets it.
  void Set(absl::Duration by) { set_ += absl::ToInt64Nanoseconds(by); }

 private:
  std::atomic<int64_t> nanos_{1'000'000'000'000};
  std::atomic<int64_t> set_{0};
};

}  // namespace skein
