// Whether a worker that keeps failing is left out, and until when: a pure state machine.
//
//   in   --failures in a row-->   out   --time is up-->   due   --a call answers-->   in
//                                  ^                       |
//                                  +---- the call fails ---+  for twice as long
//
// While `due` one call at a time is sent as a probe. A worker that has just come back is out again
// with its next failure, until a call has succeeded.
#pragma once

#include "absl/time/time.h"

namespace skein {

struct EjectionPolicy {
  int failures = 5;  // in a row
  absl::Duration first = absl::Seconds(5);
  absl::Duration longest = absl::Minutes(1);
};

// Not thread-safe.
class Ejection {
 public:
  enum class State { kIn, kOut, kDue };

  State state(absl::Time now) const;
  // A call has failed that was started at `started`. True if the worker is out because of it.
  bool OnFailure(const EjectionPolicy& policy, absl::Time started, absl::Time now);
  // A call that was started at `started` has brought its first message: enough for a worker that is
  // out to come back. True if it does.
  bool OnAnswer(absl::Time started);
  // A call has succeeded.
  void OnSuccess(const EjectionPolicy& policy, absl::Time started, absl::Time now);
  // The worker was away and has come back, perhaps as a new process: it is due at once.
  void OnReconnect();
  // How long the last ejection is, or was.
  absl::Duration duration() const { return duration_; }

 private:
  bool out_ = false;
  bool due_early_ = false;
  int failures_ = 0;  // in a row
  bool on_trial_ = false;
  // When it went out, or when the call started that brought it back. Earlier calls say nothing.
  absl::Time changed_ = absl::InfinitePast();
  absl::Duration duration_ = absl::ZeroDuration();
};

}  // namespace skein
