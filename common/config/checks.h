// What configurations of all processes are checked by. Errors start with the field's name.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace skein {

// A field of 0 or "" was left out.
template <typename Value>
Value OrDefault(Value value, Value fallback) {
  return value == Value{} ? fallback : value;
}

absl::Status CheckRange(absl::string_view field, uint64_t value, uint64_t least, uint64_t most);
absl::Status CheckAddress(absl::string_view field, const std::string& address);
absl::Status CheckLogLevel(const std::string& level);
absl::Status CheckLogFormat(const std::string& format);

}  // namespace skein
