// What a supervisor asks: /healthz, /readyz, /metrics.
#pragma once

#include <memory>

#include "gateway/endpoints/gateway_context.h"

namespace skein {

// 200 as long as the process answers at all.
absl::Status Healthz(const HttpRequest& request, GatewayContext& context,
                     std::shared_ptr<HttpResponder> out);
// Unavailable until some worker is ready to serve a model.
absl::Status Readyz(const HttpRequest& request, GatewayContext& context,
                    std::shared_ptr<HttpResponder> out);
// The Prometheus text format.
absl::Status Metrics(const HttpRequest& request, GatewayContext& context,
                     std::shared_ptr<HttpResponder> out);

}  // namespace skein
