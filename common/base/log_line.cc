#include "common/base/log_line.h"

#include <cmath>
#include <cstddef>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"

namespace skein {
namespace {

constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

bool NeedsQuotes(absl::string_view value) {
  if (value.empty()) return true;
  for (const char c : value) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) {
      return true;
    }
  }
  return false;
}

unsigned ByteAt(absl::string_view text, size_t at) {
  return at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
}

bool IsContinuation(unsigned byte) { return (byte & 0xc0) == 0x80; }

// Bytes of the character that begins at `at`, 0 if none does: RFC 3629, section 4.
size_t CharacterBytes(absl::string_view text, size_t at) {
  const unsigned first = ByteAt(text, at);
  const unsigned second = ByteAt(text, at + 1);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4 || !IsContinuation(second)) return 0;
  if (first < 0xe0) return 2;
  // No longer forms than needed, no surrogates, nothing above U+10FFFF.
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second >= 0xa0)) return 0;
  if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second >= 0x90)) return 0;
  if (!IsContinuation(ByteAt(text, at + 2))) return 0;
  if (first < 0xf0) return 3;
  return IsContinuation(ByteAt(text, at + 3)) ? 4 : 0;
}

void AppendJsonString(absl::string_view text, std::string& out) {
  out += '"';
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    const size_t size = CharacterBytes(text, at);
    if (size == 0) {
      absl::StrAppend(&out, kReplacement);
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (size == 1 && (static_cast<unsigned char>(c) < ' ' || c == 0x7f)) {
      absl::StrAppendFormat(&out, "\\u%04x", static_cast<unsigned>(c));
    } else {
      absl::StrAppend(&out, text.substr(at, size));
    }
    at += size == 0 ? 1 : size;
  }
  out += '"';
}

void AppendJsonField(absl::string_view key, const LogValue& value, std::string& out) {
  if (out.size() > 1) out += ',';
  AppendJsonString(key, out);
  out += ':';
  if (value.bare()) {
    out += value.text();
  } else {
    AppendJsonString(value.text(), out);
  }
}

}  // namespace

// JSON has no infinities.
LogValue::LogValue(double value) : text_(absl::StrCat(value)), bare_(std::isfinite(value)) {}

std::string TextLogLine(absl::string_view time, absl::string_view level, absl::string_view event,
                        const LogFields& fields) {
  std::string line = time.empty() ? "" : absl::StrCat("time=", time, " ");
  absl::StrAppend(&line, "level=", level, " event=\"", absl::Utf8SafeCEscape(event), "\"");
  for (const auto& [key, value] : fields) {
    if (NeedsQuotes(value.text())) {
      absl::StrAppend(&line, " ", key, "=\"", absl::Utf8SafeCEscape(value.text()), "\"");
    } else {
      absl::StrAppend(&line, " ", key, "=", value.text());
    }
  }
  return line;
}

std::string JsonLogLine(absl::string_view time, absl::string_view level, absl::string_view event,
                        const LogFields& fields) {
  std::string line = "{";
  if (!time.empty()) AppendJsonField("time", time, line);
  AppendJsonField("level", level, line);
  AppendJsonField("event", event, line);
  for (const auto& [key, value] : fields) AppendJsonField(key, value, line);
  return line + "}";
}

}  // namespace skein
