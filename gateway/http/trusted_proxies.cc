#include "gateway/http/trusted_proxies.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"

#include "common/config/address.h"

namespace skein {
namespace {

// An entry is an address; some proxies add the port.
std::optional<IpAddress> ParseEntry(absl::string_view entry) {
  if (const std::optional<IpAddress> address = ParseIpAddress(entry)) return address;
  const absl::StatusOr<HostPort> with_port = ParseHostPort(entry);
  return with_port.ok() ? ParseIpAddress(with_port->host) : std::nullopt;
}

}  // namespace

bool TrustedProxies::Trusts(const IpAddress& address) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [&address](const IpRange& range) { return range.Contains(address); });
}

ClientAddress TrustedProxies::ClientOf(absl::string_view peer,
                                       const std::vector<absl::string_view>& forwarded_for) const {
  ClientAddress result = {.client = std::string(peer), .proxy = ""};
  if (ranges_.empty() || forwarded_for.empty()) return result;
  const std::optional<IpAddress> proxy = ParseEntry(peer);
  if (!proxy.has_value() || !Trusts(*proxy)) return result;
  for (auto value = forwarded_for.rbegin(); value != forwarded_for.rend(); ++value) {
    const std::vector<absl::string_view> entries = absl::StrSplit(*value, ',');
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      const absl::string_view text = absl::StripAsciiWhitespace(*entry);
      if (text.empty()) continue;
      const std::optional<IpAddress> address = ParseEntry(text);
      if (!address.has_value()) return result;
      result = {.client = FormatIpAddress(*address), .proxy = std::string(peer)};
      if (!Trusts(*address)) return result;
    }
  }
  return result;
}

}  // namespace skein
