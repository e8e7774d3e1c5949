// Strict JSON bodies.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "boost/json/object.hpp"

namespace skein {

// `body` as one JSON object. InvalidArgument, with the byte where it is known, for anything else:
// other syntax, invalid UTF-8, lone surrogates, a key twice in one object, nesting deeper than
// `max_depth`, more than a few million values. Throws nothing.
absl::StatusOr<boost::json::object> ParseJsonBody(absl::string_view body, uint32_t max_depth);

}  // namespace skein
