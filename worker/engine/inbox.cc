#include "worker/engine/inbox.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/retry_after.h"
#include "common/base/status_macros.h"
#include "worker/engine/refusal_reason.h"

namespace skein {
namespace {

// What a client is told to wait before it tries again.
constexpr absl::Duration kShortestWait = absl::Seconds(1);
constexpr absl::Duration kLongestWait = absl::Seconds(60);

}  // namespace

// The queue of commands needs no bound of its own: submissions are counted here until the loop has
// let go of them, and there is at most one cancellation for each.
Inbox::Inbox(int max_queue, int64_t max_queue_tokens, const Clock& clock)
    : max_queue_(max_queue),
      max_queue_tokens_(max_queue_tokens),
      clock_(clock),
      commands_(std::numeric_limits<size_t>::max()) {}

absl::StatusOr<uint64_t> Inbox::Submit(std::unique_ptr<ActiveRequest> request) {
  const int64_t tokens = request->prompt_size();
  const absl::Time deadline = request->request.deadline;
  const std::lock_guard<std::mutex> lock(mu_);
  RETURN_IF_ERROR(CheckRoomLocked(tokens));
  const uint64_t id = ++last_id_;
  request->id = id;
  places_[id] = {tokens, deadline};
  queue_tokens_ += tokens;
  next_deadline_ = std::min(next_deadline_, deadline);
  if (unended_++ == 0) last_step_ = clock_.Steady();
  commands_.PushUrgent({.kind = Command::Kind::kSubmit, .id = id, .request = std::move(request)});
  return id;
}

absl::Status Inbox::CheckRoom(int64_t prompt_tokens) {
  const std::lock_guard<std::mutex> lock(mu_);
  return CheckRoomLocked(prompt_tokens);
}

// A prompt of more than all tokens that may wait is taken when nothing else waits.
absl::Status Inbox::CheckRoomLocked(int64_t prompt_tokens) {
  if (failed_) return WithReason(absl::UnavailableError("the model has failed"), "failed");
  if (draining_) return refusal_;
  if (stopped_) return WithReason(absl::UnavailableError("the worker stopped"), "draining");
  // Clients that come and go while a step takes long must not fill the memory.
  if (std::ssize(given_up_) >= int64_t{2} * max_queue_ ||
      given_up_tokens_ >= 2 * max_queue_tokens_) {
    return FullLocked("queue_requests", absl::StrCat(given_up_.size(), " requests were given up"));
  }
  const auto many_requests = [this] { return std::ssize(places_) >= max_queue_; };
  const auto many_tokens = [this, prompt_tokens] {
    return !places_.empty() && queue_tokens_ + prompt_tokens > max_queue_tokens_;
  };
  if (many_requests() || many_tokens()) FreeExpiredLocked();
  if (many_requests()) {
    return FullLocked("queue_requests", absl::StrCat(places_.size(), " requests are waiting"));
  }
  if (many_tokens()) {
    return FullLocked("queue_tokens", absl::StrCat(queue_tokens_, " prompt tokens are waiting"));
  }
  return absl::OkStatus();
}

// Whoever comes back when what waits now has been served finds a queue that has moved on.
absl::Status Inbox::FullLocked(absl::string_view reason, absl::string_view found) const {
  const absl::Duration wait = per_request_ * static_cast<double>(places_.size());
  return WithReason(
      WithRetryAfter(absl::ResourceExhaustedError(absl::StrCat("the queue is full: ", found)),
                     std::clamp(wait, kShortestWait, kLongestWait)),
      reason);
}

// The loop ends these requests after the step in progress.
void Inbox::FreeExpiredLocked() {
  const absl::Time now = clock_.Now();
  if (now < next_deadline_) return;
  next_deadline_ = absl::InfiniteFuture();
  absl::erase_if(places_, [&](const auto& entry) {
    const Place& place = entry.second;
    if (place.deadline > now) {
      next_deadline_ = std::min(next_deadline_, place.deadline);
      return false;
    }
    GiveUpLocked(entry.first, place);
    return true;
  });
}

void Inbox::GiveUpLocked(uint64_t id, const Place& place) {
  queue_tokens_ -= place.tokens;
  given_up_[id] = place.tokens;
  given_up_tokens_ += place.tokens;
}

void Inbox::Cancel(uint64_t id) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (const auto place = places_.find(id); place != places_.end()) {
    GiveUpLocked(id, place->second);
    places_.erase(place);
  }
  commands_.PushUrgent({.kind = Command::Kind::kCancel, .id = id, .request = nullptr});
}

void Inbox::Drain(absl::Status refusal) {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    draining_ = true;
    refusal_ = std::move(refusal);
  }
  commands_.PushUrgent({.kind = Command::Kind::kWake, .id = 0, .request = nullptr});
}

void Inbox::Resume() {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    draining_ = false;
  }
  commands_.PushUrgent({.kind = Command::Kind::kWake, .id = 0, .request = nullptr});
}

void Inbox::EndAll(absl::Status status) {
  commands_.PushUrgent(
      {.kind = Command::Kind::kEndAll, .id = 0, .request = nullptr, .status = std::move(status)});
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

absl::Duration Inbox::StalledFor() const {
  const std::lock_guard<std::mutex> lock(mu_);
  if (unended_ == 0) return absl::ZeroDuration();
  return clock_.Steady() - last_step_;
}

void Inbox::LeftQueue(uint64_t id) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (const auto place = places_.find(id); place != places_.end()) {
    queue_tokens_ -= place->second.tokens;
    places_.erase(place);
  }
  if (const auto gone = given_up_.find(id); gone != given_up_.end()) {
    given_up_tokens_ -= gone->second;
    given_up_.erase(gone);
  }
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

void Inbox::StepDone() {
  const std::lock_guard<std::mutex> lock(mu_);
  last_step_ = clock_.Steady();
}

void Inbox::SetPace(absl::Duration per_request) {
  const std::lock_guard<std::mutex> lock(mu_);
  per_request_ = per_request;
}

LoadSnapshot Inbox::Publish(LoadSnapshot load) {
  const std::lock_guard<std::mutex> lock(mu_);
  load_ = load;
  return WithOwnFields(load);
}

int64_t Inbox::queue_tokens() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return queue_tokens_;
}

LoadSnapshot Inbox::WithOwnFields(LoadSnapshot load) const {
  load.waiting = static_cast<int>(places_.size());
  load.waiting_tokens += queue_tokens_;
  load.draining = draining_;
  load.failed = failed_;
  return load;
}

}  // namespace skein
