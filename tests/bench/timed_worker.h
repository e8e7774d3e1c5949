// A worker without a model whose tokens are the times at which they were sent.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"

namespace skein {

// Nanoseconds of the steady clock.
int64_t SteadyNanos();

// Thread-safe. Answers each Generate call with max_tokens messages at a fixed pace, the first at
// once; their text is SteadyNanos() in decimal, followed by a blank.
class TimedWorker {
 public:
  explicit TimedWorker(absl::Duration pace);
  ~TimedWorker();
  TimedWorker(const TimedWorker&) = delete;
  TimedWorker& operator=(const TimedWorker&) = delete;

  const std::string& address() const { return address_; }

 private:
  class Server;
  std::unique_ptr<Server> server_;
  std::string address_;
};

}  // namespace skein
