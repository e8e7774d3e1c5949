#include "gateway/endpoints/utf8.h"

#include <utf8proc.h>

namespace skein {
namespace {

// Length of the character that `bytes` begin with; 0 if they begin with none.
size_t CharacterLength(absl::string_view bytes) {
  utf8proc_int32_t code_point = 0;
  const auto* data = reinterpret_cast<const utf8proc_uint8_t*>(bytes.data());
  const utf8proc_ssize_t length =
      utf8proc_iterate(data, static_cast<utf8proc_ssize_t>(bytes.size()), &code_point);
  return length > 0 ? static_cast<size_t>(length) : 0;
}

}  // namespace

size_t ValidUtf8Prefix(absl::string_view bytes) {
  size_t valid = 0;
  while (valid < bytes.size()) {
    const size_t length = CharacterLength(bytes.substr(valid));
    if (length == 0) break;
    valid += length;
  }
  return valid;
}

std::string ReplaceInvalidUtf8(absl::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const size_t length = CharacterLength(bytes);
    if (length == 0) {
      text += "\xEF\xBF\xBD";
      bytes.remove_prefix(1);
    } else {
      text.append(bytes.data(), length);
      bytes.remove_prefix(length);
    }
  }
  return text;
}

}  // namespace skein
