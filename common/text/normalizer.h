// Unicode normalisation form C, by the tables of utf8proc.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace skein {

// `text` must be valid UTF-8. Time n log n even for hostile runs of combining marks.
std::string NormalizeNfc(absl::string_view text);

}  // namespace skein
