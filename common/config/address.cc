#include "common/config/address.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

absl::Status BadAddress(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not an address: ", why,
                                                 ", expected HOST:PORT or [IPV6]:PORT"));
}

absl::StatusOr<uint16_t> ParsePort(absl::string_view text, absl::string_view digits) {
  uint32_t port = 0;
  const bool all_digits = std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit);
  if (digits.empty() || !all_digits || !absl::SimpleAtoi(digits, &port) || port > 65535) {
    return BadAddress(text, absl::StrCat("port \"", digits, "\" is not a number from 0 to 65535"));
  }
  return static_cast<uint16_t>(port);
}

}  // namespace

absl::StatusOr<HostPort> ParseHostPort(absl::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return BadAddress(text, "the port is missing");
  absl::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != absl::string_view::npos) {
    return BadAddress(text, "an IPv6 address needs brackets");
  }
  if (host.empty()) return BadAddress(text, "the host is missing (0.0.0.0 is every interface)");
  if (host.find_first_of("[] \t/") != absl::string_view::npos) {
    return BadAddress(text, "the host has a character that no host has");
  }
  ASSIGN_OR_RETURN(const uint16_t port, ParsePort(text, text.substr(colon + 1)));
  return HostPort{std::string(host), port};
}

std::string FormatHostPort(absl::string_view host, uint16_t port) {
  if (host.find(':') != absl::string_view::npos) return absl::StrCat("[", host, "]:", port);
  return absl::StrCat(host, ":", port);
}

}  // namespace skein
