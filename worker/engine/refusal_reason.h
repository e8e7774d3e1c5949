// Why a request was not taken, for the metrics: a word that travels with the status.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace skein {

// The words: queue_requests, queue_tokens, too_large, loading, draining, failed.
absl::Status WithReason(absl::Status status, absl::string_view reason);
// Empty without one: the request itself was at fault.
std::string ReasonOf(const absl::Status& status);

}  // namespace skein
