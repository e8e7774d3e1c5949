#include "gateway/routing/pool_options.h"

#include "absl/time/time.h"

namespace skein {

WorkerPoolOptions ToPoolOptions(const config::v1::RoutingConfig& config, GatewayMetrics& metrics) {
  WorkerPoolOptions options;
  options.load_bound = static_cast<double>(config.load_bound());
  options.ejection.failures = static_cast<int>(config.eject_after_failures());
  options.ejection.first = absl::Milliseconds(config.eject_ms());
  options.ejection.longest = absl::Milliseconds(config.max_eject_ms());
  options.retry_budget_percent = config.retry_budget_percent();
  options.silence = absl::Milliseconds(config.silence_ms());
  options.discovery.resolve_every = absl::Milliseconds(config.resolve_ms());
  options.metrics = &metrics;
  return options;
}

}  // namespace skein
