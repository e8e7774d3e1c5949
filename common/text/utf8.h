// UTF-8, one character at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace skein {

inline constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

struct Utf8Char {
  enum Kind { kValid, kInvalid, kIncomplete };
  Kind kind;      // kIncomplete: valid so far, but the text ends
  char32_t code;  // of a valid character
  size_t length;  // in bytes; of kInvalid: the maximal part that one U+FFFD stands for
};

// The character at the start of `text`, which must not be empty. Surrogates and overlong forms are
// invalid.
Utf8Char FirstUtf8Char(absl::string_view text);
// The last character of `text`, which must be valid and not empty.
Utf8Char LastUtf8Char(absl::string_view text);

// Length of the longest prefix that is valid UTF-8.
size_t ValidUtf8Prefix(absl::string_view text);
// Appends `code`, a Unicode scalar value.
void AppendUtf8(char32_t code, std::string* out);
// `bytes` with U+FFFD for each maximal invalid part.
std::string ReplaceInvalidUtf8(absl::string_view bytes);

// Unicode White_Space.
bool IsWhiteSpace(char32_t code);

}  // namespace skein
