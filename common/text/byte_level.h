// The byte-level alphabet of GPT-2 vocabularies: each byte is written as one printable character.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace skein {

// The bytes that `text` stands for; nullopt if it has a character outside of the alphabet.
std::optional<std::string> FromByteLevel(absl::string_view text);
std::string ToByteLevel(absl::string_view bytes);

}  // namespace skein
