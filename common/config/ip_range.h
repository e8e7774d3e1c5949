// Ranges of IP addresses, as configurations write them: an address, or ADDRESS/BITS.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace skein {

// Of 16 bytes; IPv4 addresses stand in ::ffff:0:0/96, so that both ways to write one are the same.
using IpAddress = std::array<uint8_t, 16>;

// An address in numbers, an IPv6 one with or without brackets; nothing else, no port.
std::optional<IpAddress> ParseIpAddress(absl::string_view text);
// An IPv4 address with dots, an IPv6 one without brackets.
std::string FormatIpAddress(const IpAddress& address);

class IpRange {
 public:
  // InvalidArgument if `text` is no range. BITS may be 1 to 32, or to 128 for IPv6: what holds
  // every address is no range that somebody means.
  static absl::StatusOr<IpRange> Parse(absl::string_view text);

  bool Contains(const IpAddress& address) const;

 private:
  IpRange(const IpAddress& first, int bits) : first_(first), bits_(bits) {}

  IpAddress first_;
  int bits_;  // of the 128
};

}  // namespace skein
