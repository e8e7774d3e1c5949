// Which threads of the process still turn: what a liveness probe asks.
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "absl/time/time.h"

#include "common/base/clock.h"

namespace skein {

// Thread-safe.
class Heartbeats {
 public:
  // Of one thread, which calls Beat every now and then for as long as it holds this.
  class Pulse {
   public:
    void Beat();

   private:
    friend class Heartbeats;
    Pulse(std::string name, const Clock& clock);
    const std::string name_;
    const Clock& clock_;
    std::atomic<int64_t> last_ns_;
  };

  explicit Heartbeats(const Clock& clock = Clock::Real()) : clock_(clock) {}

  // `name` is what Silent returns. The clock must outlive the pulse, these heartbeats need not.
  std::shared_ptr<Pulse> Add(const std::string& name);
  // The name of a thread that has not beaten for longer than `limit`; empty if there is none.
  std::string Silent(absl::Duration limit) const;

 private:
  const Clock& clock_;
  mutable std::mutex mu_;
  mutable std::list<std::weak_ptr<const Pulse>> pulses_;  // guarded by mu_
};

}  // namespace skein
