#include "gateway/http/server_options.h"

#include <string>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/config/access_config.h"

namespace skein {
namespace {

constexpr int kMaxProbeConnections = 256;
constexpr uint64_t kMaxProbeBodyBytes = 1024;

}  // namespace

HttpServerOptions ToServerOptions(const config::v1::GatewayConfig& config) {
  const config::v1::LimitsConfig& limits = config.limits();
  HttpServerOptions options;
  options.listen = config.listen();
  options.tls = config.tls();
  options.threads = static_cast<int>(config.threads());
  options.max_body_bytes = limits.max_body_bytes();
  options.max_header_bytes = limits.max_header_bytes();
  options.max_connections = static_cast<int>(limits.max_connections());
  options.access_log = config.access_log();
  options.trusted_proxies = ToTrustedProxies(config);
  options.idle_timeout = absl::Seconds(limits.idle_timeout_s());
  options.read_timeout = absl::Seconds(limits.read_timeout_s());
  options.write_timeout = absl::Seconds(limits.write_timeout_s());
  options.keep_alive = absl::Milliseconds(limits.keep_alive_ms());
  return options;
}

HttpServerOptions ToRwkvInferOptions(const config::v1::GatewayConfig& config) {
  HttpServerOptions options = ToServerOptions(config);
  options.listen = config.rwkv_infer_listen();
  options.thread_name = "rwkv-infer";
  if (IsLoopbackAddress(options.listen)) options.tls.Clear();
  return options;
}

HttpServerOptions ToProbeServerOptions(const config::v1::GatewayConfig& config) {
  HttpServerOptions options;
  options.listen = config.metrics_listen();
  options.thread_name = "metrics";
  options.access_log = config.access_log();
  options.max_connections = kMaxProbeConnections;
  options.max_body_bytes = kMaxProbeBodyBytes;
  return options;
}

TrustedProxies ToTrustedProxies(const config::v1::GatewayConfig& config) {
  std::vector<IpRange> ranges;
  for (const std::string& text : config.trusted_proxy()) {
    const absl::StatusOr<IpRange> range = IpRange::Parse(text);
    SKEIN_CHECK(range.ok());  // the configuration has been validated
    ranges.push_back(*range);
  }
  return TrustedProxies(std::move(ranges));
}

}  // namespace skein
