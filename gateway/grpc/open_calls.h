// The calls that clients have open: counted, bounded, refused while the gateway drains, and looked
// after.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace skein {

class OpenCall {
 public:
  virtual ~OpenCall() = default;
  // Now and then, on the front's own thread: ends the call if its client does not read. `now` is of
  // Clock::Steady.
  virtual void LookAfter(absl::Time) {}
};

// Thread-safe.
class OpenCalls {
 public:
  explicit OpenCalls(size_t max_calls) : max_calls_(max_calls) {}

  // Unavailable while draining, and when too many are open. What was entered leaves once.
  absl::Status Enter(const std::shared_ptr<OpenCall>& call);
  void Leave(const OpenCall* call);

  // From now on Enter refuses.
  void Drain();
  // False if calls are still open after `timeout`.
  bool WaitForNone(absl::Duration timeout);
  void LookAfter(absl::Time now);

 private:
  const size_t max_calls_;
  std::mutex mu_;
  std::condition_variable none_;
  // Guarded by mu_.
  std::unordered_map<const OpenCall*, std::weak_ptr<OpenCall>> calls_;
  bool draining_ = false;
};

}  // namespace skein
