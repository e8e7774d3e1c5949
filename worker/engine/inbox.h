// The border between the threads that submit requests and the step loop's own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/base/bounded_queue.h"
#include "common/base/clock.h"
#include "worker/engine/sequence.h"
#include "worker/engine/step_loop.h"

namespace skein {

struct Command {
  enum class Kind { kSubmit, kCancel, kEndAll, kWake, kStop };
  Kind kind = Kind::kWake;
  uint64_t id = 0;                         // kCancel
  std::unique_ptr<ActiveRequest> request;  // kSubmit
  absl::Status status = {};                // kEndAll
};

// Thread-safe. Counts what was accepted and has not ended, so that the queue stays bounded, by
// requests and by prompt tokens, and Drain knows its end.
class Inbox {
 public:
  // `clock` must outlive it.
  Inbox(int max_queue, int64_t max_queue_tokens, const Clock& clock);

  // For any thread.
  absl::StatusOr<uint64_t> Submit(std::unique_ptr<ActiveRequest> request);
  // What Submit would say to a request with so many prompt tokens.
  absl::Status CheckRoom(int64_t prompt_tokens);
  // The request's place in the queue is free when this returns.
  void Cancel(uint64_t id);
  // Until Resume, new requests get `refusal`.
  void Drain(absl::Status refusal);
  void Resume();
  // Ends with `status` what was accepted before.
  void EndAll(absl::Status status);
  void Stop();
  bool WaitIdle(absl::Duration timeout);
  LoadSnapshot Load() const;
  absl::Duration StalledFor() const;

  // For the loop's thread. Take blocks until there is a command if `wait` is set.
  std::vector<Command> Take(bool wait) {
    return wait ? commands_.WaitPopAll() : commands_.PopAll();
  }
  void LeftQueue(uint64_t id);  // a request got its slots, or ended without
  void Ended(int count);
  void Fail();
  void StepDone();
  // The time that each request of a full queue takes.
  void SetPace(absl::Duration per_request);
  // Keeps `load` for Load, after adding what the inbox knows, and returns it.
  LoadSnapshot Publish(LoadSnapshot load);
  int64_t queue_tokens() const;

 private:
  struct Place {
    int64_t tokens = 0;
    absl::Time deadline;
  };
  absl::Status CheckRoomLocked(int64_t prompt_tokens);
  absl::Status FullLocked(absl::string_view reason, absl::string_view found) const;
  void FreeExpiredLocked();
  void GiveUpLocked(uint64_t id, const Place& place);
  LoadSnapshot WithOwnFields(LoadSnapshot load) const;

  const int max_queue_;
  const int64_t max_queue_tokens_;
  const Clock& clock_;
  BoundedQueue<Command> commands_;
  mutable std::mutex mu_;
  std::condition_variable idle_;
  // Guarded by mu_:
  uint64_t last_id_ = 0;
  absl::flat_hash_map<uint64_t, Place> places_;  // of waiting requests
  int64_t queue_tokens_ = 0;                     // sum over places_
  // Cancelled or late, and still held in memory until the loop comes round: id to prompt tokens.
  absl::flat_hash_map<uint64_t, int64_t> given_up_;
  int64_t given_up_tokens_ = 0;                        // sum over given_up_
  absl::Time next_deadline_ = absl::InfiniteFuture();  // no later than those of places_
  absl::Duration per_request_;
  int unended_ = 0;
  absl::Time last_step_;  // by Steady; ended then, or before it was nothing to do
  bool draining_ = false;
  absl::Status refusal_;  // while draining
  bool failed_ = false;
  bool stopped_ = false;
  LoadSnapshot load_;
};

}  // namespace skein
