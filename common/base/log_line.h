// The two forms of a log line.
//
// Text: `level=info event="model ready" model=demo`. Values with blanks, quotes, '=' or control
// characters are quoted and escaped.
// JSON: one object, {"level":"info","event":"model ready","model":"demo"}. Numbers are numbers.
// Bytes that are no UTF-8 become U+FFFD.
#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace skein {

// A field's value: text, or a number or truth value, which JSON shows without quotes.
class LogValue {
 public:
  LogValue(std::string text) : text_(std::move(text)) {}  // NOLINT(google-explicit-*)
  LogValue(absl::string_view text) : text_(text) {}       // NOLINT(google-explicit-*)
  LogValue(const char* text) : text_(text) {}             // NOLINT(google-explicit-*)
  LogValue(bool value) : text_(value ? "true" : "false"), bare_(true) {}  // NOLINT
  LogValue(double value);  // NOLINT(google-explicit-*)
  template <typename Integer, std::enable_if_t<std::is_integral_v<Integer>, int> = 0>
  LogValue(Integer value) : text_(absl::StrCat(value)), bare_(true) {}  // NOLINT

  const std::string& text() const { return text_; }
  bool bare() const { return bare_; }  // JSON as it stands

 private:
  std::string text_;
  bool bare_ = false;
};

using LogFields = std::vector<std::pair<absl::string_view, LogValue>>;

// Both without an end of line; `time` is left out if empty.
std::string TextLogLine(absl::string_view time, absl::string_view level, absl::string_view event,
                        const LogFields& fields);
std::string JsonLogLine(absl::string_view time, absl::string_view level, absl::string_view event,
                        const LogFields& fields);

}  // namespace skein
