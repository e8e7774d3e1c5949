// UTF-8 of bytes that come from outside.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace skein {

// Bytes at the start of `bytes` that are whole, valid characters.
size_t ValidUtf8Prefix(absl::string_view bytes);
inline bool IsValidUtf8(absl::string_view bytes) { return ValidUtf8Prefix(bytes) == bytes.size(); }
// `bytes` with U+FFFD in place of every byte that is not part of a character.
std::string ReplaceInvalidUtf8(absl::string_view bytes);

}  // namespace skein
