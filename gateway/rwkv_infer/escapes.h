// Backslash escapes in strings of requests.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace skein {

// Decodes \n \r \t \\ \' \" \a \b \f \v \0 \xHH \uHHHH \UHHHHHHHH, the numbers as characters, in
// UTF-8. What is none of them, and all other text, stays as it is.
std::string DecodeEscapes(absl::string_view text);

}  // namespace skein
