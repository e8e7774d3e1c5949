#include "common/config/checks.h"

#include "absl/strings/str_cat.h"

#include "common/config/address.h"

namespace skein {

absl::Status CheckRange(absl::string_view field, uint64_t value, uint64_t least, uint64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", value, ", expected ", least, " to ", most));
}

absl::Status CheckAddress(absl::string_view field, const std::string& address) {
  const absl::StatusOr<HostPort> parsed = ParseHostPort(address);
  if (parsed.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", parsed.status().message()));
}

absl::Status CheckLogLevel(const std::string& level) {
  for (const char* known : {"debug", "info", "warning", "error"}) {
    if (level == known) return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("log_level: \"", level, "\", expected debug, info, warning or error"));
}

absl::Status CheckLogFormat(const std::string& format) {
  if (format == "text" || format == "json") return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("log_format: \"", format, "\", expected text or json"));
}

}  // namespace skein
