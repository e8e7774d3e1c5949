// Names for what is loaded without one.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace skein {

// What a registered name may have of the last part of `path`, without its ending: letters, digits,
// - and _, the latter in place of all else. Empty if nothing of it may stay.
std::string StemOf(absl::string_view path);

}  // namespace skein
