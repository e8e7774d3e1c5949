// Errors about a message of ours, in the words of the body that it was made from.
#pragma once

#include <initializer_list>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace skein {

// From the name of a field here to its name there.
using FieldNames = std::initializer_list<std::pair<absl::string_view, absl::string_view>>;

// A message that begins with "FIELD: " or "FIELD[" begins with the other name, which is the
// error's param, too.
absl::Status WithRenamedField(const absl::Status& status, FieldNames names);

}  // namespace skein
