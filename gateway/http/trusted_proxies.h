// Whose word is taken for where a request came from. Anybody can write X-Forwarded-For: an entry
// counts only if it was added by a proxy that is trusted.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

#include "common/config/ip_range.h"

namespace skein {

// Where a request came from.
struct ClientAddress {
  std::string client;  // HOST:PORT, or the address alone if a proxy told of it
  std::string proxy;   // HOST:PORT of the proxy that told; empty if none did
};

// Immutable. Without ranges nobody is trusted.
class TrustedProxies {
 public:
  TrustedProxies() = default;
  explicit TrustedProxies(std::vector<IpRange> ranges) : ranges_(std::move(ranges)) {}

  // `peer` is HOST:PORT of the connection's other end, `forwarded_for` the values of all
  // X-Forwarded-For headers, in their order. Each proxy adds at the end whom it heard from, so they
  // are read from there: the first address that is not trusted is the client's. What comes before
  // it is its own claim. Without one it is the last address that could be read.
  ClientAddress ClientOf(absl::string_view peer,
                         const std::vector<absl::string_view>& forwarded_for) const;

 private:
  bool Trusts(const IpAddress& address) const;

  std::vector<IpRange> ranges_;
};

}  // namespace skein
