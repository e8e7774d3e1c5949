// Asks a running worker for its health: what a container without a shell can run.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace skein {

// `target` is HOST:PORT, or HOST:PORT/SERVICE for another service of grpc.health.v1 than "".
// Unavailable if the worker does not answer SERVING within `timeout`; InvalidArgument for a target
// of another form.
absl::Status CheckHealth(const std::string& target, absl::Duration timeout);

}  // namespace skein
