#include "gateway/http/request_target.h"

#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

absl::Status BadTarget(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("request target: ", why));
}

absl::StatusOr<std::string> DecodePercent(absl::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    const bool complete = i + 2 < text.size() && absl::ascii_isxdigit(text[i + 1]) &&
                          absl::ascii_isxdigit(text[i + 2]);
    if (!complete) return BadTarget("'%' without two hexadecimal digits");
    decoded += absl::HexStringToBytes(text.substr(i + 1, 2));
    if (decoded.back() == '/') return BadTarget("an encoded '/'");
    i += 2;
  }
  return decoded;
}

// Length of the UTF-8 character at the start of `text`, 0 if there is none.
size_t CharacterBytes(absl::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return 1;
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return 0;
  uint32_t code = first & (0x7f >> size);
  for (size_t i = 1; i < size; ++i) {
    const auto next = static_cast<uint8_t>(text[i]);
    if ((next & 0xc0) != 0x80) return 0;
    code = (code << 6) | (next & 0x3f);
  }
  const bool overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  return overlong || surrogate || code > 0x10ffff ? 0 : size;
}

absl::Status CheckUtf8(absl::string_view text) {
  while (!text.empty()) {
    const size_t size = CharacterBytes(text);
    if (size == 0) return BadTarget("bytes that are not UTF-8");
    text.remove_prefix(size);
  }
  return absl::OkStatus();
}

absl::Status CheckPath(absl::string_view path) {
  for (const char c : path) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x20 || byte == 0x7f) return BadTarget("a control character");
  }
  for (const absl::string_view segment : absl::StrSplit(path, '/')) {
    if (segment == "." || segment == "..") return BadTarget("a segment '.' or '..'");
  }
  return CheckUtf8(path);
}

}  // namespace

absl::StatusOr<RequestTarget> ParseRequestTarget(absl::string_view target) {
  if (target == "*") return RequestTarget{"*", ""};
  const bool absolute = absl::StartsWithIgnoreCase(target, "http://");
  if (absolute) {
    const size_t host_end = target.find_first_of("/?", 7);
    if (host_end == 7 || target.size() == 7) return BadTarget("an absolute form without a host");
    target = host_end == absl::string_view::npos ? "" : target.substr(host_end);
  }
  const size_t mark = target.find('?');
  const absl::string_view raw_path = target.substr(0, mark);
  RequestTarget result;
  if (mark != absl::string_view::npos) result.query = std::string(target.substr(mark + 1));
  if (raw_path.empty() && absolute) {
    result.path.push_back('/');
    return result;
  }
  if (!absl::StartsWith(raw_path, "/")) return BadTarget("expected a path that starts with '/'");
  ASSIGN_OR_RETURN(result.path, DecodePercent(raw_path));
  RETURN_IF_ERROR(CheckPath(result.path));
  return result;
}

}  // namespace skein
