// What a supervisor asks: /healthz, /readyz, /startupz, /metrics.
#pragma once

#include <memory>

#include "gateway/endpoints/gateway_context.h"

namespace skein {

// 200 as long as every HTTP thread turns. Internal if one has not for 10 s: only a restart helps.
absl::Status Healthz(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                     std::shared_ptr<HttpResponder> out);
// Unavailable until some worker is ready to serve a model, and from the beginning of the drain.
absl::Status Readyz(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                    std::shared_ptr<HttpResponder> out);
// Unavailable until all listeners are open. Says nothing of workers, which start by themselves.
absl::Status Startupz(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                      std::shared_ptr<HttpResponder> out);
// The Prometheus text format.
absl::Status Metrics(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                     std::shared_ptr<HttpResponder> out);

}  // namespace skein
