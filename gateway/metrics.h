// All metrics of a gateway process. docs/operations.md lists them.
#pragma once

#include <string>

#include "common/metrics/metrics.h"

namespace skein {

// Thread-safe.
class GatewayMetrics {
 public:
  explicit GatewayMetrics(MetricsRegistry& registry);

  // Answered requests by route (the table's path, or "other") and HTTP status; 499 when the client
  // left first.
  void CountRequest(const std::string& route, int status, double seconds);

  prometheus::Gauge& connections;    // skein_gateway_connections
  prometheus::Gauge& open_streams;   // skein_gateway_open_streams
  prometheus::Gauge& ready_workers;  // skein_gateway_ready_workers
  prometheus::Histogram&
      first_token_seconds;  // skein_gateway_first_token_seconds: request read to first text
  prometheus::Counter& rejected_connections;  // skein_gateway_rejected_connections_total

 private:
  MetricsRegistry& registry_;
};

}  // namespace skein
