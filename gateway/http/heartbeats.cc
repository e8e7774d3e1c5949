#include "gateway/http/heartbeats.h"

#include <utility>

namespace skein {

Heartbeats::Pulse::Pulse(std::string name, const Clock& clock)
    : name_(std::move(name)), clock_(clock), last_ns_(absl::ToUnixNanos(clock.Steady())) {}

void Heartbeats::Pulse::Beat() {
  last_ns_.store(absl::ToUnixNanos(clock_.Steady()), std::memory_order_relaxed);
}

std::shared_ptr<Heartbeats::Pulse> Heartbeats::Add(const std::string& name) {
  const std::shared_ptr<Pulse> pulse(new Pulse(name, clock_));
  const std::lock_guard<std::mutex> lock(mu_);
  pulses_.push_back(pulse);
  return pulse;
}

std::string Heartbeats::Silent(absl::Duration limit) const {
  const int64_t oldest_ns = absl::ToUnixNanos(clock_.Steady() - limit);
  const std::lock_guard<std::mutex> lock(mu_);
  pulses_.remove_if([](const auto& pulse) { return pulse.expired(); });
  for (const auto& weak : pulses_) {
    const std::shared_ptr<const Pulse> pulse = weak.lock();
    if (pulse != nullptr && pulse->last_ns_.load(std::memory_order_relaxed) < oldest_ns) {
      return pulse->name_;
    }
  }
  return "";
}

}  // namespace skein
