#include "common/config/ip_range.h"

#include <algorithm>

#include <arpa/inet.h>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace skein {
namespace {

constexpr int kAllBits = 128;
constexpr int kMappedBits = 96;  // in front of an IPv4 address
constexpr IpAddress kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool SharesBits(const IpAddress& a, const IpAddress& b, int bits) {
  const int bytes = bits / 8;
  if (!std::equal(a.begin(), a.begin() + bytes, b.begin())) return false;
  const int rest = bits % 8;
  return rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0;
}

bool IsV4(const IpAddress& address) { return SharesBits(address, kMapped, kMappedBits); }

}  // namespace

std::optional<IpAddress> ParseIpAddress(absl::string_view text) {
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') {
    text = text.substr(1, text.size() - 2);
    if (text.find(':') == absl::string_view::npos) return std::nullopt;
  }
  if (text.find('\0') != absl::string_view::npos) return std::nullopt;
  const std::string digits(text);
  IpAddress address = kMapped;
  if (inet_pton(AF_INET, digits.c_str(), address.data() + kMappedBits / 8) == 1) return address;
  if (inet_pton(AF_INET6, digits.c_str(), address.data()) == 1) return address;
  return std::nullopt;
}

std::string FormatIpAddress(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (IsV4(address)) {
    inet_ntop(AF_INET, address.data() + kMappedBits / 8, text, sizeof(text));
  } else {
    inet_ntop(AF_INET6, address.data(), text, sizeof(text));
  }
  return text;
}

absl::StatusOr<IpRange> IpRange::Parse(absl::string_view text) {
  const auto bad = [text] {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no range of addresses, expected ADDRESS or ADDRESS/BITS"));
  };
  const size_t slash = text.find('/');
  const std::optional<IpAddress> first = ParseIpAddress(text.substr(0, slash));
  if (!first.has_value()) return bad();
  if (slash == absl::string_view::npos) return IpRange(*first, kAllBits);
  const bool v4 = text.substr(0, slash).find(':') == absl::string_view::npos;
  const int most = v4 ? kAllBits - kMappedBits : kAllBits;
  const absl::string_view digits = text.substr(slash + 1);
  int bits = 0;
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(digits, &bits) || bits > most) {
    return bad();
  }
  if (bits == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" holds every address, expected the range of the proxies"));
  }
  return IpRange(*first, bits + kAllBits - most);
}

bool IpRange::Contains(const IpAddress& address) const {
  return SharesBits(first_, address, bits_);
}

}  // namespace skein
