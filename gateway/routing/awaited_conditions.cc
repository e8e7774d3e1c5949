#include "gateway/routing/awaited_conditions.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace skein {

void AwaitedConditions::Add(Condition condition, absl::Time deadline, Done done) {
  const std::lock_guard<std::mutex> lock(mu_);
  awaited_.push_back({std::move(condition), deadline, std::move(done)});
}

absl::Time AwaitedConditions::Poll(absl::Time now) {
  std::vector<Awaited> looked_at;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    looked_at.swap(awaited_);
  }
  absl::Time next = absl::InfiniteFuture();
  std::vector<Awaited> kept;
  for (Awaited& awaited : looked_at) {
    const bool met = awaited.condition();
    if (met || now >= awaited.deadline) {
      awaited.done(met);
      continue;
    }
    next = std::min(next, awaited.deadline);
    kept.push_back(std::move(awaited));
  }
  const std::lock_guard<std::mutex> lock(mu_);
  std::move(kept.begin(), kept.end(), std::back_inserter(awaited_));
  return next;
}

}  // namespace skein
