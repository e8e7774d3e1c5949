// The configuration of routing as the pool takes it.
#pragma once

#include "gateway/metrics.h"
#include "gateway/routing/worker_pool.h"
#include "skein/config/v1/gateway.pb.h"

namespace skein {

// `config` has its defaults and is checked.
WorkerPoolOptions ToPoolOptions(const config::v1::RoutingConfig& config, GatewayMetrics& metrics);

}  // namespace skein
