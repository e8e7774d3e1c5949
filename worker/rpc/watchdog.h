// Decides whether the worker is alive: a process whose step loop is stuck is only good for a
// restart.
#pragma once

#include <functional>

#include "absl/time/time.h"

#include "worker/engine/model_host.h"

namespace skein {

// Not thread-safe.
class Watchdog {
 public:
  // Stuck means that nothing has come of work for `stall`. `on_change` hears whether the worker is
  // alive, when that changes; it is taken to be so at first. The host must outlive it.
  Watchdog(const ModelHost& host, absl::Duration stall, std::function<void(bool alive)> on_change)
      : host_(host), stall_(stall), on_change_(std::move(on_change)) {}

  // To be called every now and then, more often than `stall`.
  void Poll();

 private:
  const ModelHost& host_;
  const absl::Duration stall_;
  const std::function<void(bool alive)> on_change_;
  bool alive_ = true;
};

}  // namespace skein
