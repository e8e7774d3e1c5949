// Cuts the body of a text/event-stream answer into events.
#pragma once

#include <functional>
#include <string>

#include "absl/strings/string_view.h"

namespace skein::ctl {

// Not thread-safe. Comments and fields other than `data` are skipped; lines end with \n or \r\n.
class SseParser {
 public:
  using OnEvent = std::function<void(absl::string_view data)>;

  // `bytes` may end anywhere, also inside a line. Calls `on_event` for each event that is complete,
  // with its data lines joined by \n.
  void Feed(absl::string_view bytes, const OnEvent& on_event);

 private:
  void Line(absl::string_view line, const OnEvent& on_event);

  std::string partial_;  // the bytes of a line whose end has not come
  std::string data_;
  bool has_data_ = false;
};

}  // namespace skein::ctl
