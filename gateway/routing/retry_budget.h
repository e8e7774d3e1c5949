// How many calls may be tried again: a share of those that were started of late, so that retries
// never multiply the load of workers that are in trouble.
#pragma once

#include <cstdint>
#include <mutex>

namespace skein {

// A token bucket: each request puts in `percent` of a token, each retry takes one out. It holds at
// most ten, and starts full, so that a gateway with little to do may retry too: over any stretch of
// time at most percent% of the requests and ten more are retried. Thread-safe.
class RetryBudget {
 public:
  // 0 to 100; 0: no retries.
  explicit RetryBudget(uint32_t percent);

  void OnRequest();
  // False if the budget is spent.
  bool TakeRetry();

 private:
  const int64_t percent_;
  const int64_t most_;
  std::mutex mu_;
  int64_t hundredths_;  // of a token; guarded by mu_
};

}  // namespace skein
