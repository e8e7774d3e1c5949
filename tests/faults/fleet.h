// Scripted workers behind a gateway, and the question that all fault tests end with: does
// everything serve again?
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

#include "tests/e2e/servers.h"
#include "tests/faults/stream_load.h"

namespace skein {

// A step of the scripted model; short enough that streams end soon, long enough that two cores
// carry 200 of them.
inline constexpr int kStepMs = 50;

// `flags`: further ones of the scripted worker.
absl::StatusOr<std::unique_ptr<WorkerServer>> StartScripted(
    const std::string& listen = "127.0.0.1:0", const std::vector<std::string>& flags = {});

// OK once `count` workers are ready to be picked.
absl::Status WaitForWorkers(const GatewayServer& gateway, int count, absl::Duration timeout);

// OK if `requests` short requests in a row are answered with the right text.
absl::Status ServesRight(const GatewayServer& gateway, int requests);

class Stopwatch {
 public:
  absl::Duration elapsed() const { return absl::Now() - start_; }
  double seconds() const { return absl::ToDoubleSeconds(elapsed()); }

 private:
  const absl::Time start_ = absl::Now();
};

}  // namespace skein
