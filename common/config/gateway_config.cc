#include "common/config/gateway_config.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/config/access_config.h"
#include "common/config/address.h"
#include "common/config/checks.h"
#include "common/config/worker_source.h"

namespace skein {
namespace {

using config::v1::GatewayConfig;
using config::v1::LimitsConfig;
using config::v1::RoutingConfig;

constexpr uint32_t kMaxDefaultThreads = 8;
constexpr uint32_t kDaySeconds = 86400;
constexpr uint64_t kMinUploadBytes = uint64_t{512} << 20;

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
  limits.set_max_upload_bytes(OrDefault(
      limits.max_upload_bytes(), std::max(kMinUploadBytes, 4 * uint64_t{limits.max_body_bytes()})));
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
  RETURN_IF_ERROR(CheckRange("limits.max_upload_bytes", limits.max_upload_bytes(),
                             limits.max_body_bytes(), uint64_t{1} << 40));
  return CheckRange("limits.max_json_depth", limits.max_json_depth(), 8, 1024);
}

void FillRouting(RoutingConfig& routing) {
  routing.set_load_bound(OrDefault(routing.load_bound(), 1.25f));
  routing.set_eject_after_failures(OrDefault(routing.eject_after_failures(), 5u));
  routing.set_eject_ms(OrDefault(routing.eject_ms(), 5000u));
  routing.set_max_eject_ms(OrDefault(routing.max_eject_ms(), std::max(60000u, routing.eject_ms())));
  if (!routing.has_retry_budget_percent()) routing.set_retry_budget_percent(20);
  routing.set_silence_ms(OrDefault(routing.silence_ms(), 5000u));
  routing.set_resolve_ms(OrDefault(routing.resolve_ms(), 5000u));
}

absl::Status ValidateRouting(const RoutingConfig& routing) {
  if (!(routing.load_bound() >= 1 && routing.load_bound() <= 100)) {
    return absl::InvalidArgumentError(
        absl::StrCat("routing.load_bound: ", routing.load_bound(), ", expected 1 to 100"));
  }
  RETURN_IF_ERROR(
      CheckRange("routing.eject_after_failures", routing.eject_after_failures(), 1, 1000));
  RETURN_IF_ERROR(CheckRange("routing.eject_ms", routing.eject_ms(), 10, 3600000));
  RETURN_IF_ERROR(
      CheckRange("routing.max_eject_ms", routing.max_eject_ms(), routing.eject_ms(), 86400000));
  RETURN_IF_ERROR(
      CheckRange("routing.retry_budget_percent", routing.retry_budget_percent(), 0, 100));
  RETURN_IF_ERROR(CheckRange("routing.silence_ms", routing.silence_ms(), 500, 600000));
  return CheckRange("routing.resolve_ms", routing.resolve_ms(), 100, 3600000);
}

absl::Status ValidateWorkers(const GatewayConfig& config) {
  std::set<std::string> seen;
  for (const std::string& worker : config.worker()) {
    const absl::StatusOr<WorkerSource> source = ParseWorkerSource(worker);
    if (!source.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("worker: ", source.status().message()));
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
  if (config.log_format().empty()) config.set_log_format("text");
  if (!config.has_access_log()) config.set_access_log(true);
  config.set_threads(OrDefault(config.threads(), std::clamp(num_cores, 1u, kMaxDefaultThreads)));
  config.set_drain_timeout_s(OrDefault(config.drain_timeout_s(), 30u));
  FillLimits(*config.mutable_limits());
  FillRouting(*config.mutable_routing());
}

absl::Status Validate(const GatewayConfig& config) {
  RETURN_IF_ERROR(CheckAddress("listen", config.listen()));
  if (!config.metrics_listen().empty()) {
    RETURN_IF_ERROR(CheckAddress("metrics_listen", config.metrics_listen()));
  }
  if (!config.grpc_listen().empty()) {
    RETURN_IF_ERROR(CheckAddress("grpc_listen", config.grpc_listen()));
  }
  if (!config.rwkv_infer_listen().empty()) {
    RETURN_IF_ERROR(CheckAddress("rwkv_infer_listen", config.rwkv_infer_listen()));
  }
  RETURN_IF_ERROR(ValidateWorkers(config));
  RETURN_IF_ERROR(ValidateAccess(config));
  RETURN_IF_ERROR(CheckLogLevel(config.log_level()));
  RETURN_IF_ERROR(CheckLogFormat(config.log_format()));
  RETURN_IF_ERROR(CheckRange("threads", config.threads(), 1, 256));
  RETURN_IF_ERROR(CheckRange("drain_timeout_s", config.drain_timeout_s(), 1, kDaySeconds));
  RETURN_IF_ERROR(ValidateRouting(config.routing()));
  return ValidateLimits(config.limits());
}

}  // namespace skein
