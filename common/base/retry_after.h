// When to try again, as part of an error.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace skein {

// `status` with the time after which the same request may succeed; infinite: it never will. Keeps
// an existing one.
absl::Status WithRetryAfter(absl::Status status, absl::Duration after);
std::optional<absl::Duration> RetryAfterOf(const absl::Status& status);

// For a Retry-After header: whole seconds, rounded up, at least 1.
int64_t RetryAfterSeconds(absl::Duration after);

}  // namespace skein
