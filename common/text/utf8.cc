#include "common/text/utf8.h"

namespace skein {
namespace {

uint8_t Byte(absl::string_view text, size_t i) { return static_cast<uint8_t>(text[i]); }

// What may follow a lead byte: how many bytes, and the range of the first of them (the Unicode
// Standard, table 3-7).
struct Lead {
  size_t length;  // 0: not a lead byte
  uint8_t low, high;
};

Lead LeadOf(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

Utf8Char FirstUtf8Char(absl::string_view text) {
  const uint8_t first = Byte(text, 0);
  const Lead lead = LeadOf(first);
  if (lead.length == 0) return {Utf8Char::kInvalid, 0, 1};
  if (lead.length == 1) return {Utf8Char::kValid, first, 1};
  char32_t code = first & (0x7Fu >> lead.length);
  uint8_t low = lead.low;
  uint8_t high = lead.high;
  for (size_t i = 1; i < lead.length; ++i) {
    if (i == text.size()) return {Utf8Char::kIncomplete, 0, i};
    const uint8_t byte = Byte(text, i);
    if (byte < low || byte > high) return {Utf8Char::kInvalid, 0, i};
    code = (code << 6) | (byte & 0x3Fu);
    low = 0x80;
    high = 0xBF;
  }
  return {Utf8Char::kValid, code, lead.length};
}

Utf8Char LastUtf8Char(absl::string_view text) {
  size_t start = text.size() - 1;
  while (start > 0 && (Byte(text, start) & 0xC0) == 0x80) --start;
  return FirstUtf8Char(text.substr(start));
}

size_t ValidUtf8Prefix(absl::string_view text) {
  size_t pos = 0;
  while (pos < text.size()) {
    if (Byte(text, pos) < 0x80) {
      ++pos;
      continue;
    }
    const Utf8Char c = FirstUtf8Char(text.substr(pos));
    if (c.kind != Utf8Char::kValid) break;
    pos += c.length;
  }
  return pos;
}

void AppendUtf8(char32_t code, std::string* out) {
  const auto tail = [code](int shift) {
    return static_cast<char>(0x80 | ((code >> shift) & 0x3F));
  };
  if (code < 0x80) {
    out->push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out->append({static_cast<char>(0xC0 | (code >> 6)), tail(0)});
  } else if (code < 0x10000) {
    out->append({static_cast<char>(0xE0 | (code >> 12)), tail(6), tail(0)});
  } else {
    out->append({static_cast<char>(0xF0 | (code >> 18)), tail(12), tail(6), tail(0)});
  }
}

std::string ReplaceInvalidUtf8(absl::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const size_t valid = ValidUtf8Prefix(bytes);
    text.append(bytes.data(), valid);
    bytes.remove_prefix(valid);
    if (bytes.empty()) break;
    text.append(kReplacement.data(), kReplacement.size());
    bytes.remove_prefix(FirstUtf8Char(bytes).length);
  }
  return text;
}

bool IsWhiteSpace(char32_t code) {
  if (code <= 0x20) return code == 0x20 || (code >= 0x09 && code <= 0x0D);
  switch (code) {
    case 0x85:
    case 0xA0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202F:
    case 0x205F:
    case 0x3000:
      return true;
    default:
      return code >= 0x2000 && code <= 0x200A;
  }
}

}  // namespace skein
