#include "gateway/rwkv_infer/file_names.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace skein {

std::string StemOf(absl::string_view path) {
  path.remove_prefix(std::min(path.rfind('/') + 1, path.size()));
  path = path.substr(0, path.rfind('.'));
  std::string stem;
  for (const char c : path) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-';
    stem += plain ? c : '_';
  }
  const auto is_inner = [](char c) { return c == '-' || c == '_'; };
  while (!stem.empty() && is_inner(stem.back())) stem.pop_back();
  stem.erase(0, std::find_if_not(stem.begin(), stem.end(), is_inner) - stem.begin());
  return stem;
}

}  // namespace skein
