// JSON as a stream of events, for headers that come from strangers: memory stays small whatever the
// text says.
#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace skein {

struct JsonEvent {
  enum Kind { kBeginObject, kEndObject, kBeginArray, kEndArray, kKey, kString, kInteger, kOther };
  Kind kind = kOther;
  int depth = 0;           // of open containers around it; the outermost begins and ends at 0
  absl::string_view text;  // of a key or string, valid during the call
  int64_t number = 0;      // of an integer
};

// Numbers with a fraction or beyond int64, booleans and null come as kOther. DataLoss with the byte
// offset for text that is not one JSON value in UTF-8, for containers nested deeper than
// `max_depth`, and for an object that has a key twice. An error of `visit` ends the parsing and is
// returned as it is.
absl::Status ParseJsonEvents(absl::string_view text, int max_depth,
                             absl::FunctionRef<absl::Status(const JsonEvent&)> visit);

}  // namespace skein
