#include "common/config/gateway_config.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/config/access_config.h"
#include "common/config/address.h"
#include "common/config/checks.h"

namespace skein {
namespace {

using config::v1::GatewayConfig;
using config::v1::LimitsConfig;

constexpr uint32_t kMaxDefaultThreads = 8;
constexpr uint32_t kDaySeconds = 86400;

void FillLimits(LimitsConfig& limits) {
  limits.set_max_body_bytes(OrDefault(limits.max_body_bytes(), 16u << 20));
  limits.set_max_header_bytes(OrDefault(limits.max_header_bytes(), 16u << 10));
  limits.set_max_connections(OrDefault(limits.max_connections(), 10000u));
  limits.set_idle_timeout_s(OrDefault(limits.idle_timeout_s(), 75u));
  limits.set_read_timeout_s(OrDefault(limits.read_timeout_s(), 30u));
  limits.set_write_timeout_s(OrDefault(limits.write_timeout_s(), 30u));
  limits.set_request_timeout_s(OrDefault(limits.request_timeout_s(), 600u));
  limits.set_keep_alive_ms(OrDefault(limits.keep_alive_ms(), 15000u));
  limits.set_max_choices(OrDefault(limits.max_choices(), 16u));
  limits.set_max_json_depth(OrDefault(limits.max_json_depth(), 32u));
}

absl::Status ValidateLimits(const LimitsConfig& limits) {
  RETURN_IF_ERROR(CheckRange("limits.max_body_bytes", limits.max_body_bytes(), 1024, 1u << 30));
  RETURN_IF_ERROR(CheckRange("limits.max_header_bytes", limits.max_header_bytes(), 512, 1u << 20));
  RETURN_IF_ERROR(CheckRange("limits.max_connections", limits.max_connections(), 1, 1000000));
  RETURN_IF_ERROR(CheckRange("limits.idle_timeout_s", limits.idle_timeout_s(), 1, kDaySeconds));
  RETURN_IF_ERROR(CheckRange("limits.read_timeout_s", limits.read_timeout_s(), 1, kDaySeconds));
  RETURN_IF_ERROR(CheckRange("limits.write_timeout_s", limits.write_timeout_s(), 1, kDaySeconds));
  RETURN_IF_ERROR(
      CheckRange("limits.request_timeout_s", limits.request_timeout_s(), 1, kDaySeconds));
  RETURN_IF_ERROR(CheckRange("limits.keep_alive_ms", limits.keep_alive_ms(), 10, 3600000));
  RETURN_IF_ERROR(CheckRange("limits.max_choices", limits.max_choices(), 1, 128));
  return CheckRange("limits.max_json_depth", limits.max_json_depth(), 8, 1024);
}

absl::Status ValidateWorkers(const GatewayConfig& config) {
  std::set<std::string> seen;
  for (const std::string& worker : config.worker()) {
    RETURN_IF_ERROR(CheckAddress("worker", worker));
    ASSIGN_OR_RETURN(const HostPort address, ParseHostPort(worker));
    if (address.port == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("worker: \"", worker, "\" has port 0, expected the port of a worker"));
    }
    if (!seen.insert(worker).second) {
      return absl::InvalidArgumentError(absl::StrCat("worker: \"", worker, "\" is given twice"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

void FillDefaults(GatewayConfig& config, uint32_t num_cores) {
  if (config.listen().empty()) config.set_listen("127.0.0.1:8080");
  if (config.worker().empty()) config.add_worker("127.0.0.1:50051");
  if (config.log_level().empty()) config.set_log_level("info");
  config.set_threads(OrDefault(config.threads(), std::clamp(num_cores, 1u, kMaxDefaultThreads)));
  config.set_drain_timeout_s(OrDefault(config.drain_timeout_s(), 30u));
  FillLimits(*config.mutable_limits());
}

absl::Status Validate(const GatewayConfig& config) {
  RETURN_IF_ERROR(CheckAddress("listen", config.listen()));
  if (!config.metrics_listen().empty()) {
    RETURN_IF_ERROR(CheckAddress("metrics_listen", config.metrics_listen()));
  }
  RETURN_IF_ERROR(ValidateWorkers(config));
  RETURN_IF_ERROR(ValidateAccess(config));
  RETURN_IF_ERROR(CheckLogLevel(config.log_level()));
  RETURN_IF_ERROR(CheckRange("threads", config.threads(), 1, 256));
  RETURN_IF_ERROR(CheckRange("drain_timeout_s", config.drain_timeout_s(), 1, kDaySeconds));
  return ValidateLimits(config.limits());
}

}  // namespace skein
