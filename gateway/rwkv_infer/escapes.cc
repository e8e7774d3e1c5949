#include "gateway/rwkv_infer/escapes.h"

#include <cstdint>
#include <optional>

#include "absl/strings/ascii.h"

namespace skein {
namespace {

constexpr absl::string_view kLetters = "nrtabfv0\\'\"";
constexpr absl::string_view kMeanings("\n\r\t\a\b\f\v\0\\'\"", 11);

size_t NumDigits(char kind) {
  if (kind == 'x') return 2;
  if (kind == 'u') return 4;
  return kind == 'U' ? 8 : 0;
}

// Nothing if `digits` are not all hexadecimal, or no character.
std::optional<uint32_t> CodePoint(absl::string_view digits) {
  uint32_t code = 0;
  for (const char c : digits) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return std::nullopt;
    code = code * 16 + (absl::ascii_isdigit(static_cast<unsigned char>(c))
                            ? c - '0'
                            : absl::ascii_tolower(static_cast<unsigned char>(c)) - 'a' + 10);
  }
  if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return std::nullopt;
  return code;
}

void AppendUtf8(uint32_t code, std::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
    return;
  }
  int tail = code < 0x800 ? 1 : (code < 0x10000 ? 2 : 3);
  const uint32_t lead = tail == 1 ? 0xC0 : (tail == 2 ? 0xE0 : 0xF0);
  out += static_cast<char>(lead | (code >> (6 * tail)));
  while (tail-- > 0) out += static_cast<char>(0x80 | ((code >> (6 * tail)) & 0x3F));
}

// Decodes what stands behind a backslash. Returns its length, 0 if it is no escape.
size_t DecodeOne(absl::string_view rest, std::string& out) {
  if (rest.empty()) return 0;
  if (const size_t letter = kLetters.find(rest[0]); letter != kLetters.npos) {
    out += kMeanings[letter];
    return 1;
  }
  const size_t digits = NumDigits(rest[0]);
  if (digits == 0 || rest.size() < 1 + digits) return 0;
  const std::optional<uint32_t> code = CodePoint(rest.substr(1, digits));
  if (!code.has_value()) return 0;
  AppendUtf8(*code, out);
  return 1 + digits;
}

}  // namespace

std::string DecodeEscapes(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t length = text[i] == '\\' ? DecodeOne(text.substr(i + 1), out) : 0;
    if (length == 0) out += text[i];
    i += 1 + length;
  }
  return out;
}

}  // namespace skein
