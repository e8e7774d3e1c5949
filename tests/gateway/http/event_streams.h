// What tests of event streams share.
#pragma once

#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "tests/testing/http_client.h"

namespace skein {

inline bool WaitUntil(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000 && !condition(); ++i) absl::SleepFor(absl::Milliseconds(5));
  return condition();
}

// The data of all events up to the end of the stream, with blanks between them.
inline std::string ReadEvents(HttpClient& client) {
  std::string all;
  while (true) {
    const auto event = client.NextEvent();
    if (!event.ok()) return absl::StrCat(all, event.status().ToString());
    if (!event->has_value()) return all;
    if (!(*event)->data.empty()) absl::StrAppend(&all, (*event)->data, " ");
  }
}

}  // namespace skein
