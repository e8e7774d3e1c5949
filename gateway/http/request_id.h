// Request ids: what ties a client's request to log lines of gateway and worker.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace skein {

// A client's x-request-id is taken over if it is 1 to 128 letters, digits or -_.:/+=@, so that it
// is safe in headers and log lines.
bool IsSaneRequestId(absl::string_view id);
// "req-" and 24 random hexadecimal digits. Thread-safe.
std::string NewRequestId();

}  // namespace skein
