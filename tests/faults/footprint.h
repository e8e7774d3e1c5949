// What processes hold: nothing of it may stay behind after a fault.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "tests/e2e/servers.h"

namespace skein {

struct Footprint {
  int files = 0;  // open file descriptors
  int threads = 0;
  int64_t rss_bytes = 0;
};

// From /proc.
Footprint FootprintOf(const ChildProcess& process);

// Sum over the labels of a metric of the gateway.
absl::StatusOr<double> GatewayMetric(int port, const std::string& name);

// Watches a gateway and its workers: taken when they are idle and warm, asked again after the
// fault.
class LeakCheck {
 public:
  LeakCheck(const GatewayServer& gateway, const std::vector<const WorkerServer*>& workers);

  // OK once slots, pages, sequences, streams, connections and file descriptors are what they were.
  // Memory may have grown by `slack_bytes` in each process.
  absl::Status WaitUntilFree(absl::Duration timeout, int64_t slack_bytes = 32 << 20) const;

 private:
  struct Watched {
    const WorkerServer* server;
    v1::WorkerLoad load;
    Footprint footprint;
  };
  absl::Status Look(int64_t slack_bytes) const;
  absl::Status LookAtWorker(const Watched& worker, int64_t slack_bytes) const;

  const GatewayServer& gateway_;
  Footprint gateway_footprint_;
  std::vector<Watched> workers_;
};

}  // namespace skein
