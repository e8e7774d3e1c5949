#include "worker/engine/service_pace.h"

#include <algorithm>
#include <cmath>

namespace skein {
namespace {

constexpr double kFadeSeconds = 30;

}  // namespace

void ServicePace::Observe(absl::Time now, int admitted, bool blocked) {
  if (blocked_) {
    const double seconds = std::max(0.0, absl::ToDoubleSeconds(now - last_));
    const double kept = std::exp(-seconds / kFadeSeconds);
    seconds_ = seconds_ * kept + seconds;
    admitted_ = admitted_ * kept + admitted;
  }
  last_ = now;
  blocked_ = blocked;
}

absl::Duration ServicePace::PerRequest() const {
  return absl::Seconds(seconds_ / std::max(1.0, admitted_));
}

}  // namespace skein
