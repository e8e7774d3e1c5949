// UTF-8 of bytes that come from outside.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace skein {

bool IsValidUtf8(absl::string_view bytes);
// `bytes` with U+FFFD in place of every byte that is not part of a character.
std::string ReplaceInvalidUtf8(absl::string_view bytes);

}  // namespace skein
