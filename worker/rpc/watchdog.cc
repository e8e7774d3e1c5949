#include "worker/rpc/watchdog.h"

#include <string>

#include "absl/strings/str_cat.h"

#include "common/base/log.h"

namespace skein {

void Watchdog::Poll() {
  const absl::Duration stalled = host_.StalledFor();
  const bool alive = stalled < stall_;
  if (alive == alive_) return;
  alive_ = alive;
  const HostStatus status = host_.status();
  if (alive) {
    LogWarning("progress again", {{"model", host_.name()}});
  } else {
    LogError("no progress", {{"model", host_.name()},
                             {"state", std::string(ModelStateName(status.state))},
                             {"seconds", absl::StrCat(absl::ToInt64Seconds(stalled))},
                             {"running", absl::StrCat(status.load.running)},
                             {"waiting", absl::StrCat(status.load.waiting)}});
  }
  on_change_(alive);
}

}  // namespace skein
