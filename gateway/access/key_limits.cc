#include "gateway/access/key_limits.h"

#include "absl/strings/str_cat.h"

namespace skein {
namespace {

// A place among parallel requests is free when one of them ends, whenever that is.
constexpr absl::Duration kParallelRetry = absl::Seconds(1);

// As OpenAI writes them: 20ms, 1.5s, 6m0s.
std::string FormatReset(absl::Duration time) {
  if (time == absl::ZeroDuration()) return "0s";
  return absl::FormatDuration(absl::Ceil(time, absl::Milliseconds(1)));
}

void AppendHeaders(const char* what, const TokenBucket& bucket, HeaderList& headers) {
  headers.emplace_back(absl::StrCat("x-ratelimit-limit-", what), absl::StrCat(bucket.limit()));
  headers.emplace_back(absl::StrCat("x-ratelimit-remaining-", what),
                       absl::StrCat(bucket.available()));
  headers.emplace_back(absl::StrCat("x-ratelimit-reset-", what),
                       FormatReset(bucket.TimeUntilFull()));
}

}  // namespace

void KeyLimits::SetRules(const KeyRules& rules) {
  const std::lock_guard<std::mutex> lock(mu_);
  rules_ = rules;
}

KeyLimits::Decision KeyLimits::Admit(int64_t tokens, absl::Time now) {
  const std::lock_guard<std::mutex> lock(mu_);
  RefillLocked(now);
  Decision decision = DecideLocked(tokens);
  decision.rules = rules_;
  if (decision.outcome != Outcome::kAdmitted) return decision;
  ++running_;
  if (rules_.requests_per_minute > 0) requests_.Take(1);
  if (rules_.tokens_per_minute > 0) tokens_.Take(tokens);
  return decision;
}

KeyLimits::Decision KeyLimits::DecideLocked(int64_t tokens) const {
  if (rules_.max_parallel > 0 && running_ >= rules_.max_parallel) {
    return {Outcome::kParallel, kParallelRetry, {}};
  }
  if (rules_.requests_per_minute > 0) {
    const absl::Duration wait = requests_.TimeUntil(1);
    if (wait > absl::ZeroDuration()) return {Outcome::kRequests, wait, {}};
  }
  if (rules_.tokens_per_minute > 0) {
    const absl::Duration wait = tokens_.TimeUntil(tokens);
    if (wait > absl::ZeroDuration()) return {Outcome::kTokens, wait, {}};
  }
  return {};
}

void KeyLimits::TakeMore(int64_t tokens, absl::Time now) {
  const std::lock_guard<std::mutex> lock(mu_);
  RefillLocked(now);
  if (rules_.tokens_per_minute > 0) tokens_.Take(tokens);
}

void KeyLimits::Finish(int64_t unused_tokens, absl::Time now) {
  const std::lock_guard<std::mutex> lock(mu_);
  --running_;
  RefillLocked(now);
  if (rules_.tokens_per_minute > 0) tokens_.Return(unused_tokens);
}

HeaderList KeyLimits::RateLimitHeaders(absl::Time now) {
  const std::lock_guard<std::mutex> lock(mu_);
  RefillLocked(now);
  HeaderList headers;
  if (rules_.requests_per_minute > 0) AppendHeaders("requests", requests_, headers);
  if (rules_.tokens_per_minute > 0) AppendHeaders("tokens", tokens_, headers);
  return headers;
}

void KeyLimits::RefillLocked(absl::Time now) {
  if (rules_.requests_per_minute > 0) requests_.Refill(rules_.requests_per_minute, now);
  if (rules_.tokens_per_minute > 0) tokens_.Refill(rules_.tokens_per_minute, now);
}

}  // namespace skein
