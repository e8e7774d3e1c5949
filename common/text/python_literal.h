// The string and bytes literals of an RWKV vocabulary file. Nothing is evaluated.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace skein {

// 'text' or "text": characters, given back as UTF-8; \xHH, \uHHHH and \UHHHHHHHH are code points.
// b'bytes' or b"bytes": ASCII characters; \xHH is a byte.
// Also \n \t \r \\ \' \". InvalidArgument for any other escape or anything around the literal.
absl::StatusOr<std::string> ParsePythonLiteral(absl::string_view literal);

}  // namespace skein
