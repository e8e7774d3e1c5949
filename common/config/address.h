// Network addresses as configurations and flags write them: HOST:PORT, or [IPV6]:PORT.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace skein {

struct HostPort {
  std::string host;   // a name or an address, an IPv6 one without its brackets
  uint16_t port = 0;  // 0 asks for a free port where a server listens
};

// InvalidArgument if `text` is not HOST:PORT with a port of 0 to 65535, or an IPv6 address lacks
// its brackets.
absl::StatusOr<HostPort> ParseHostPort(absl::string_view text);
// The inverse: IPv6 addresses get their brackets.
std::string FormatHostPort(absl::string_view host, uint16_t port);

}  // namespace skein
