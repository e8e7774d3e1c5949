#include "gateway/routing/retry_budget.h"

#include <algorithm>

namespace skein {
namespace {

constexpr int64_t kToken = 100;
constexpr int64_t kMostTokens = 10;

}  // namespace

RetryBudget::RetryBudget(uint32_t percent)
    : percent_(percent), most_(percent == 0 ? 0 : kMostTokens * kToken), hundredths_(most_) {}

void RetryBudget::OnRequest() {
  const std::lock_guard<std::mutex> lock(mu_);
  hundredths_ = std::min(hundredths_ + percent_, most_);
}

bool RetryBudget::TakeRetry() {
  const std::lock_guard<std::mutex> lock(mu_);
  if (hundredths_ < kToken) return false;
  hundredths_ -= kToken;
  return true;
}

}  // namespace skein
