// The border between the threads that submit requests and the step loop's own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/base/bounded_queue.h"
#include "worker/engine/sequence.h"
#include "worker/engine/step_loop.h"

namespace skein {

struct Command {
  enum class Kind { kSubmit, kCancel, kWake, kStop };
  Kind kind = Kind::kWake;
  uint64_t id = 0;                         // kCancel
  std::unique_ptr<ActiveRequest> request;  // kSubmit
};

// Thread-safe. Counts what was accepted and has not ended, so that the queue stays bounded and
// Drain knows its end.
class Inbox {
 public:
  explicit Inbox(int max_queue);

  // For any thread.
  absl::StatusOr<uint64_t> Submit(std::unique_ptr<ActiveRequest> request);
  void Cancel(uint64_t id);
  void Drain();
  void Stop();
  bool WaitIdle(absl::Duration timeout);
  LoadSnapshot Load() const;

  // For the loop's thread. Take blocks until there is a command if `wait` is set.
  std::vector<Command> Take(bool wait) {
    return wait ? commands_.WaitPopAll() : commands_.PopAll();
  }
  void LeftQueue();  // a request got its slots, or ended without
  void Ended(int count);
  void Fail();
  // Keeps `load` for Load, after filling in what the inbox knows, and returns it.
  LoadSnapshot Publish(LoadSnapshot load);

 private:
  LoadSnapshot WithOwnFields(LoadSnapshot load) const;

  const int max_queue_;
  BoundedQueue<Command> commands_;
  mutable std::mutex mu_;
  std::condition_variable idle_;
  // Guarded by mu_:
  uint64_t last_id_ = 0;
  int waiting_ = 0;
  int unended_ = 0;
  bool draining_ = false;
  bool failed_ = false;
  bool stopped_ = false;
  LoadSnapshot load_;
};

}  // namespace skein
