#include "worker/engine/prefill_pace.h"

#include <algorithm>

namespace skein {
namespace {

// One slow step may be a stranger's doing, and is not believed further than this.
constexpr double kMostCut = 0.5;
constexpr double kMostGrowth = 1.25;
// Steps with fewer rows than this share of what is allowed say nothing of what more would take.
constexpr double kTelling = 0.9;

}  // namespace

PrefillPace::PrefillPace(absl::Duration target, int least, int most)
    : target_(target), least_(std::min(least, most)), most_(most), rows_(most) {}

void PrefillPace::Observe(int rows, absl::Duration time) {
  if (rows <= 0 || time <= absl::ZeroDuration()) return;
  const double room = absl::FDivDuration(target_, time);
  if (room < 1) {
    rows_ = std::min(rows_, std::max(least_, rows * std::max(room, kMostCut)));
  } else if (rows >= kTelling * rows_) {
    rows_ = std::min(most_, rows_ * std::min(room, kMostGrowth));
  }
}

}  // namespace skein
