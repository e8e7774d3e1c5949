#include "gateway/routing/ejection.h"

#include <algorithm>

namespace skein {
namespace {

// A worker that was in for so many times `EjectionPolicy::first` starts with short ejections again.
constexpr int kForgetAfter = 12;

}  // namespace

Ejection::State Ejection::state(absl::Time now) const {
  if (!out_) return State::kIn;
  return now < changed_ + duration_ && !due_early_ ? State::kOut : State::kDue;
}

bool Ejection::OnFailure(const EjectionPolicy& policy, absl::Time started, absl::Time now) {
  if (started < changed_ || state(now) == State::kOut) return false;
  ++failures_;
  if (!out_ && !on_trial_ && failures_ < policy.failures) return false;
  duration_ =
      duration_ == absl::ZeroDuration() ? policy.first : std::min(duration_ * 2, policy.longest);
  out_ = true;
  due_early_ = false;
  on_trial_ = false;
  failures_ = 0;
  changed_ = now;
  return true;
}

bool Ejection::OnAnswer(absl::Time started) {
  if (!out_ || started < changed_) return false;
  out_ = false;
  on_trial_ = true;
  changed_ = started;
  return true;
}

void Ejection::OnSuccess(const EjectionPolicy& policy, absl::Time started, absl::Time now) {
  if (started < changed_) return;
  if (out_) OnAnswer(started);
  on_trial_ = false;
  failures_ = 0;
  if (now - changed_ > policy.first * kForgetAfter) duration_ = absl::ZeroDuration();
}

void Ejection::OnReconnect() { due_early_ = true; }

}  // namespace skein
