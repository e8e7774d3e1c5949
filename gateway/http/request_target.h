// The target of a request line, cut into path and query.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace skein {

struct RequestTarget {
  std::string path;   // percent-decoded, starts with '/'; or "*"
  std::string query;  // as sent, without '?'
};

// Takes the origin form ("/v1/models?x=1"), the absolute form ("http://host/v1/models") and "*".
// InvalidArgument for everything else, and for a path with a bad percent escape, an encoded '/', a
// control character, a segment "." or "..", or bytes that are not UTF-8.
absl::StatusOr<RequestTarget> ParseRequestTarget(absl::string_view target);

}  // namespace skein
