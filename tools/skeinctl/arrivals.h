// When the requests of a load run begin.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <random>

#include "absl/time/time.h"

namespace skein::ctl {

struct ArrivalOptions {
  int64_t requests = 0;                                // 0: no limit
  absl::Duration duration = absl::InfiniteDuration();  // no request begins later
  double rate = 0;    // requests per second, whatever becomes of them; 0: as soon as asked for
  bool even = false;  // with a rate: at even distances, instead of a Poisson process
  int64_t seed = 1;
};

// Thread-safe.
class Arrivals {
 public:
  struct Arrival {
    int64_t index = 0;
    absl::Time time;
  };

  Arrivals(const ArrivalOptions& options, absl::Time begin);

  // The next request, to be begun at `time`, which with a rate may be past or to come. nullopt: no
  // more.
  std::optional<Arrival> Next(absl::Time now);

 private:
  absl::Duration DrawDistance();

  const ArrivalOptions options_;
  const absl::Time end_;
  std::mutex mu_;
  // Guarded by mu_:
  std::mt19937_64 random_;
  absl::Time last_;
  int64_t next_index_ = 0;
};

}  // namespace skein::ctl
