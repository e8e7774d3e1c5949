#include "common/base/retry_after.h"

#include <algorithm>
#include <string>

#include "absl/strings/cord.h"

namespace skein {
namespace {

constexpr char kPayload[] = "skein/retry-after";

}  // namespace

absl::Status WithRetryAfter(absl::Status status, absl::Duration after) {
  if (!status.ok() && !status.GetPayload(kPayload).has_value()) {
    status.SetPayload(kPayload, absl::Cord(absl::FormatDuration(after)));
  }
  return status;
}

std::optional<absl::Duration> RetryAfterOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayload);
  absl::Duration after;
  if (!payload.has_value() || !absl::ParseDuration(std::string(*payload), &after)) {
    return std::nullopt;
  }
  return after;
}

int64_t RetryAfterSeconds(absl::Duration after) {
  return std::max<int64_t>(1, absl::ToInt64Seconds(absl::Ceil(after, absl::Seconds(1))));
}

}  // namespace skein
