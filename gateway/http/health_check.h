// Asks a running gateway for its health: what a container without a shell and curl can run.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace skein {

// `target` is HOST:PORT, or HOST:PORT/PATH; without a path /readyz is asked, over plain HTTP.
// Unavailable if the answer is not 200 or does not begin within `timeout`; InvalidArgument for a
// target of another form.
absl::Status CheckHealth(const std::string& target, absl::Duration timeout);

}  // namespace skein
