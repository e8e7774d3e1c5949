#include "tools/skeinctl/arrivals.h"

namespace skein::ctl {

Arrivals::Arrivals(const ArrivalOptions& options, absl::Time begin)
    : options_(options),
      end_(begin + options.duration),
      random_(static_cast<uint64_t>(options.seed)),
      last_(begin) {}

std::optional<Arrivals::Arrival> Arrivals::Next(absl::Time now) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (options_.requests > 0 && next_index_ >= options_.requests) return std::nullopt;
  const absl::Time time = options_.rate > 0 ? last_ + DrawDistance() : now;
  if (time >= end_) return std::nullopt;
  last_ = time;
  return Arrival{next_index_++, time};
}

absl::Duration Arrivals::DrawDistance() {
  if (options_.even) return absl::Seconds(1 / options_.rate);
  return absl::Seconds(std::exponential_distribution<double>(options_.rate)(random_));
}

}  // namespace skein::ctl
