// skein-gateway: HTTP in front, gRPC workers behind.
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "common/base/log.h"
#include "common/config/gateway_config.h"
#include "common/config/gateway_flags.h"
#include "gateway/gateway_process.h"
#include "gateway/http/health_check.h"

namespace {

constexpr int kUsageError = 2;
constexpr absl::Duration kHealthTimeout = absl::Seconds(5);

int FailWith(const absl::Status& status) {
  std::fprintf(stderr, "skein-gateway: %s\nTry skein-gateway --help.\n",
               std::string(status.message()).c_str());
  return kUsageError;
}

int ReportHealth(const absl::Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "skein-gateway: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  absl::StatusOr<skein::GatewayCommandLine> line =
      skein::ParseGatewayCommandLine(std::vector<std::string>(argv + 1, argv + argc));
  if (!line.ok()) return FailWith(line.status());
  if (line->help) {
    std::fputs(skein::GatewayUsage().c_str(), stdout);
    return 0;
  }
  if (!line->health_check.empty()) {
    return ReportHealth(skein::CheckHealth(line->health_check, kHealthTimeout));
  }
  skein::FillDefaults(line->config, std::thread::hardware_concurrency());
  absl::Status status = skein::Validate(line->config);
  if (status.ok()) status = skein::SetLogLevel(line->config.log_level());
  if (status.ok()) status = skein::SetLogFormat(line->config.log_format());
  if (!status.ok()) return FailWith(status);
  if (line->check_config) {
    std::puts("the configuration is valid");
    return 0;
  }
  return skein::RunGateway(line->config);
}
