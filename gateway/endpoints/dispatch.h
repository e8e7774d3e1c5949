// From a table of routes to their handlers: what all listeners do with a request.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "gateway/endpoints/gateway_context.h"

namespace skein {

// What one listener serves.
struct RouteTable {
  const std::vector<Route>& routes;
  bool asks_keys = true;  // false: whoever calls may use every route
  // Looks at a request whose path and method are served; an error is its answer. Null: none does.
  absl::Status (*check)(const HttpRequest& request, const GatewayContext& context) = nullptr;
};

// Finds the handler and runs it: 404 for an unknown path, 405 with Allow for a wrong method, 401
// and 403 for what is no key or lacks the role, an error object for a handler's error; while
// draining 503 for all but probes.
void Dispatch(const RouteTable& table, const HttpRequest& request, GatewayContext& context,
              std::shared_ptr<HttpResponder> out);

// Of a request with a large body that has not been read yet: the answer that it gets whatever the
// body is. So nobody without a key makes the gateway hold large bodies.
std::optional<HttpResponse> RefuseByHead(const RouteTable& table, const HttpRequest& request,
                                         const GatewayContext& context);

// Has the routes, and what is none of them, counted from 0.
void ExpectRequests(const std::vector<Route>& routes, GatewayMetrics& metrics);

}  // namespace skein
