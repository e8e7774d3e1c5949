#include "tests/fuzz/fuzz.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>

namespace skein::fuzz {

void Require(bool holds, absl::string_view what, absl::string_view detail) {
  if (holds) return;
  std::cerr << "property: " << what << "\n";
  if (!detail.empty()) std::cerr << "  " << detail << "\n";
  std::abort();
}

void RequireFailure(const absl::Status& status, std::initializer_list<absl::StatusCode> allowed) {
  const bool known = std::find(allowed.begin(), allowed.end(), status.code()) != allowed.end();
  Require(known, "bad input is refused with a code that says so", status.ToString());
  Require(!status.message().empty(), "a refusal says why", status.ToString());
}

absl::string_view Parts::Cut(absl::string_view& text, char separator) {
  const size_t end = std::min(text.find(separator), text.size());
  const absl::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

}  // namespace skein::fuzz
