// What the fuzz targets share. A target is one function, LLVMFuzzerTestOneInput; a property that
// does not hold ends the process, and libFuzzer keeps the input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace skein::fuzz {

// Ends the process, with `what` and `detail` on standard error, unless `holds`.
void Require(bool holds, absl::string_view what, absl::string_view detail = "");
// That a failure is one of `allowed` and says something.
void RequireFailure(const absl::Status& status, std::initializer_list<absl::StatusCode> allowed);

inline absl::string_view Text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Cuts an input into parts, so that seeds can be written with an editor. Parts end with the byte
// 0x1f, lists inside of a part have the byte 0x1e between their items.
class Parts {
 public:
  explicit Parts(absl::string_view input) : rest_(input) {}

  absl::string_view Next() { return Cut(rest_, '\x1f'); }
  absl::string_view Rest() const { return rest_; }
  // The first item of `list`, which is taken off it.
  static absl::string_view NextItem(absl::string_view& list) { return Cut(list, '\x1e'); }

 private:
  static absl::string_view Cut(absl::string_view& text, char separator);

  absl::string_view rest_;
};

}  // namespace skein::fuzz
