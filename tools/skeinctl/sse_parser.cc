#include "tools/skeinctl/sse_parser.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace skein::ctl {

void SseParser::Feed(absl::string_view bytes, const OnEvent& on_event) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    if (end == absl::string_view::npos) {
      absl::StrAppend(&partial_, bytes);
      return;
    }
    if (partial_.empty()) {
      Line(bytes.substr(0, end), on_event);
    } else {
      absl::StrAppend(&partial_, bytes.substr(0, end));
      Line(partial_, on_event);
      partial_.clear();
    }
    bytes.remove_prefix(end + 1);
  }
}

void SseParser::Line(absl::string_view line, const OnEvent& on_event) {
  line = absl::StripSuffix(line, "\r");
  if (line.empty()) {
    if (has_data_) on_event(data_);
    data_.clear();
    has_data_ = false;
    return;
  }
  if (!absl::ConsumePrefix(&line, "data:")) return;
  absl::ConsumePrefix(&line, " ");
  if (has_data_) data_ += '\n';
  absl::StrAppend(&data_, line);
  has_data_ = true;
}

}  // namespace skein::ctl
