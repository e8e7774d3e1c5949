#include "common/text/python_literal.h"

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "common/base/status_macros.h"
#include "common/text/utf8.h"

namespace skein {
namespace {

// Takes `digits` hexadecimal digits from the front of `rest`.
absl::StatusOr<uint32_t> TakeHex(absl::string_view* rest, size_t digits) {
  uint64_t code = 0;
  const absl::string_view text = rest->substr(0, digits);
  bool all_hex = text.size() == digits;
  for (const char c : text) {
    all_hex = all_hex && absl::ascii_isxdigit(static_cast<unsigned char>(c));
  }
  if (!all_hex || !absl::SimpleHexAtoi(text, &code)) {
    return absl::InvalidArgumentError(
        absl::StrCat("an escape without its ", digits, " hexadecimal digits"));
  }
  rest->remove_prefix(digits);
  return static_cast<uint32_t>(code);
}

// `rest` begins behind the backslash.
absl::Status TakeEscape(absl::string_view* rest, bool is_bytes, std::string* out) {
  const char kind = rest->empty() ? '\0' : rest->front();
  if (!rest->empty()) rest->remove_prefix(1);
  switch (kind) {
    case 'n':
      out->push_back('\n');
      return absl::OkStatus();
    case 't':
      out->push_back('\t');
      return absl::OkStatus();
    case 'r':
      out->push_back('\r');
      return absl::OkStatus();
    case '\\':
    case '\'':
    case '"':
      out->push_back(kind);
      return absl::OkStatus();
    case 'x':
    case 'u':
    case 'U':
      break;
    default:
      return absl::InvalidArgumentError("an unknown escape in the literal");
  }
  if (is_bytes && kind != 'x') return absl::InvalidArgumentError("a \\u escape in a bytes literal");
  ASSIGN_OR_RETURN(const uint32_t code, TakeHex(rest, kind == 'x' ? 2 : kind == 'u' ? 4 : 8));
  if (is_bytes) {
    out->push_back(static_cast<char>(code));
    return absl::OkStatus();
  }
  if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
    return absl::InvalidArgumentError(absl::StrCat("code point ", code, " is no character"));
  }
  AppendUtf8(code, out);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ParsePythonLiteral(absl::string_view literal) {
  absl::string_view rest = literal;
  const bool is_bytes = absl::ConsumePrefix(&rest, "b");
  const char quote = rest.empty() ? '\0' : rest.front();
  if (rest.size() < 2 || (quote != '\'' && quote != '"') || rest.back() != quote) {
    return absl::InvalidArgumentError("the literal is not in quotes");
  }
  rest = rest.substr(1, rest.size() - 2);
  std::string out;
  while (!rest.empty()) {
    const char c = rest.front();
    if (c == quote) return absl::InvalidArgumentError("a quote inside the literal");
    if (is_bytes && static_cast<unsigned char>(c) >= 0x80) {
      return absl::InvalidArgumentError("a character beyond ASCII in a bytes literal");
    }
    rest.remove_prefix(1);
    if (c == '\\') {
      RETURN_IF_ERROR(TakeEscape(&rest, is_bytes, &out));
    } else {
      out.push_back(c);
    }
  }
  if (!is_bytes && ValidUtf8Prefix(out) != out.size()) {
    return absl::InvalidArgumentError("the literal is not UTF-8");
  }
  return out;
}

}  // namespace skein
