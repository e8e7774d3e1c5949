// skein-worker: one model, served over gRPC.
#include <cstdio>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "common/base/log.h"
#include "common/config/worker_config.h"
#include "common/config/worker_flags.h"
#include "kernels/device/device.h"
#include "worker/rpc/health_check.h"
#include "worker/rpc/worker_process.h"

namespace {

constexpr int kUsageError = 2;
constexpr absl::Duration kHealthTimeout = absl::Seconds(5);

int FailWith(const absl::Status& status) {
  std::fprintf(stderr, "skein-worker: %s\nTry skein-worker --help.\n",
               std::string(status.message()).c_str());
  return kUsageError;
}

int ReportHealth(const absl::Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "skein-worker: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  absl::StatusOr<skein::WorkerCommandLine> line =
      skein::ParseWorkerCommandLine(std::vector<std::string>(argv + 1, argv + argc));
  if (!line.ok()) return FailWith(line.status());
  if (line->help) {
    std::fputs(skein::WorkerUsage().c_str(), stdout);
    return 0;
  }
  if (!line->health_check.empty()) {
    return ReportHealth(skein::CheckHealth(line->health_check, line->config.tls(), kHealthTimeout));
  }
  if (line->config.model().path().empty() && line->config.model_root().empty()) {
    std::fputs(skein::WorkerUsage().c_str(), stderr);
    return FailWith(absl::InvalidArgumentError("--model is missing"));
  }
  const absl::Status cuda = skein::ProbeCuda();
  skein::FillDefaults(line->config, cuda.ok());
  absl::Status status = skein::Validate(line->config, cuda.ok());
  if (status.ok()) status = skein::SetLogLevel(line->config.log_level());
  if (status.ok()) status = skein::SetLogFormat(line->config.log_format());
  if (!status.ok()) return FailWith(status);
  if (line->check_config) {
    std::puts("the configuration is valid");
    return 0;
  }
  if (!cuda.ok()) {
    skein::LogInfo("serving on the CPU", {{"reason", std::string(cuda.message())}});
  }
  return skein::RunWorker(line->config);
}
