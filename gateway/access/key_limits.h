// What one key may use, and what it has used: requests and tokens per minute, requests at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "common/base/clock.h"
#include "gateway/access/token_bucket.h"
#include "gateway/http/http_types.h"

namespace skein {

// 0 is no limit.
struct KeyRules {
  int64_t requests_per_minute = 0;
  int64_t tokens_per_minute = 0;
  int64_t max_parallel = 0;
};

// Thread-safe; nothing waits in it.
class KeyLimits {
 public:
  enum class Outcome { kAdmitted, kRequests, kTokens, kParallel };
  struct Decision {
    Outcome outcome = Outcome::kAdmitted;
    absl::Duration retry_after = absl::ZeroDuration();
    KeyRules rules;  // that decided
  };

  // New rules hold from the next call on; what has been used stays used.
  void SetRules(const KeyRules& rules);

  // Counts one request and takes `tokens`, all or nothing.
  Decision Admit(int64_t tokens, absl::Time now);
  // An admitted request uses more tokens than it took.
  void TakeMore(int64_t tokens, absl::Time now);
  // An admitted request has ended, and so many of its tokens were not used.
  void Finish(int64_t unused_tokens, absl::Time now);

  // x-ratelimit-{limit,remaining,reset}-{requests,tokens} of the limits that there are.
  HeaderList RateLimitHeaders(absl::Time now);

 private:
  void RefillLocked(absl::Time now);
  Decision DecideLocked(int64_t tokens) const;

  std::mutex mu_;
  // Guarded by mu_.
  KeyRules rules_;
  TokenBucket requests_;
  TokenBucket tokens_;
  int64_t running_ = 0;
};

}  // namespace skein
