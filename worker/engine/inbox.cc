#include "worker/engine/inbox.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace skein {

// The queue of commands needs no bound of its own: submissions are counted here, and there is at
// most one cancellation for each.
Inbox::Inbox(int max_queue)
    : max_queue_(max_queue), commands_(std::numeric_limits<size_t>::max()) {}

absl::StatusOr<uint64_t> Inbox::Submit(std::unique_ptr<ActiveRequest> request) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (failed_) return absl::UnavailableError("the model has failed");
  if (draining_ || stopped_) return absl::UnavailableError("the worker is draining");
  if (waiting_ >= max_queue_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the queue is full: ", waiting_, " requests are waiting"));
  }
  const uint64_t id = ++last_id_;
  request->id = id;
  ++waiting_;
  ++unended_;
  commands_.PushUrgent({.kind = Command::Kind::kSubmit, .id = id, .request = std::move(request)});
  return id;
}

void Inbox::Cancel(uint64_t id) {
  commands_.PushUrgent({.kind = Command::Kind::kCancel, .id = id, .request = nullptr});
}

void Inbox::Drain() {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    draining_ = true;
  }
  commands_.PushUrgent({.kind = Command::Kind::kWake, .id = 0, .request = nullptr});
}

void Inbox::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    stopped_ = true;
  }
  commands_.PushUrgent({.kind = Command::Kind::kStop, .id = 0, .request = nullptr});
}

bool Inbox::WaitIdle(absl::Duration timeout) {
  std::unique_lock<std::mutex> lock(mu_);
  return idle_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [this] { return unended_ == 0; });
}

LoadSnapshot Inbox::Load() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return WithOwnFields(load_);
}

void Inbox::LeftQueue() {
  const std::lock_guard<std::mutex> lock(mu_);
  --waiting_;
}

void Inbox::Ended(int count) {
  const std::lock_guard<std::mutex> lock(mu_);
  unended_ -= count;
  if (unended_ == 0) idle_.notify_all();
}

void Inbox::Fail() {
  const std::lock_guard<std::mutex> lock(mu_);
  failed_ = true;
}

LoadSnapshot Inbox::Publish(LoadSnapshot load) {
  const std::lock_guard<std::mutex> lock(mu_);
  load_ = WithOwnFields(load);
  return load_;
}

LoadSnapshot Inbox::WithOwnFields(LoadSnapshot load) const {
  load.waiting = waiting_;
  load.draining = draining_;
  load.failed = failed_;
  return load;
}

}  // namespace skein
