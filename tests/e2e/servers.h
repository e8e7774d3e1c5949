// Workers and gateways as processes on loopback, each on a free port.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "skein/v1/workers.pb.h"
#include "tests/e2e/child_process.h"

namespace skein {

// What workers compute on: "cpu", or $SKEIN_TEST_DEVICE.
std::string TestDevice();

// True in a build with AddressSanitizer, where memory use says little and everything is slow.
bool UnderAddressSanitizer();
// `seconds`, and more in a slow build.
absl::Duration Patience(int seconds);

// A running skein-worker with the demo model, called "demo"; or one with a scripted model
// (tests/testing/scripted_worker.cc).
class WorkerServer {
 public:
  struct Options {
    std::string listen = "127.0.0.1:0";
    std::string config = {};  // text format, such as "engine { max_sequences: 8 }"
    bool scripted = false;
    std::vector<std::string> flags = {};  // further ones, such as {"--step-ms", "5"}
    bool wait = true;                     // for the model
  };
  // Returns when the model is ready; with `wait` false as soon as it listens.
  static absl::StatusOr<std::unique_ptr<WorkerServer>> Start(const Options& options);

  const std::string& address() const { return address_; }
  ChildProcess& process() const { return *process_; }
  // The first message of WatchLoad.
  absl::StatusOr<v1::WorkerLoad> Load() const;
  // Sum of a metric's series.
  absl::StatusOr<double> Metric(const std::string& name) const;
  // OK once no sequence runs or waits and as many slots and pages are free as in `idle`.
  absl::Status WaitIdle(const v1::WorkerLoad& idle, absl::Duration timeout) const;

 private:
  std::unique_ptr<ChildProcess> process_;
  std::string address_;
  std::string metrics_address_;
};

// A running skein-gateway.
class GatewayServer {
 public:
  // Returns when it is ready, which means that one worker is; with `wait` false as soon as it
  // listens.
  static absl::StatusOr<std::unique_ptr<GatewayServer>> Start(
      const std::vector<std::string>& workers, const std::string& config = "", bool wait = true);

  int port() const { return port_; }
  std::string url() const;
  ChildProcess& process() const { return *process_; }
  absl::Status WaitReady(bool ready, absl::Duration timeout) const;

 private:
  std::unique_ptr<ChildProcess> process_;
  int port_ = 0;
};

// Sends SIGTERM. OK if the process then ends by itself with status 0: drained, and with nothing for
// a sanitizer to report.
absl::Status StopCleanly(ChildProcess& process);

}  // namespace skein
