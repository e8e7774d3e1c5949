// The file of a source file:PATH: addresses of workers, one HOST:PORT per line. Empty lines and
// what follows a '#' do not count.
#pragma once

#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace skein {

// InvalidArgument, naming the line, for what is not a list of at least one address. A text that
// does not end with a newline is taken for half-written and refused, too.
absl::StatusOr<std::set<std::string>> ParseWorkerFile(absl::string_view text);

// The whole file. NotFound or Unavailable if it cannot be read, InvalidArgument beyond 1 MiB.
absl::StatusOr<std::string> ReadWorkerFile(const std::string& path);

}  // namespace skein
