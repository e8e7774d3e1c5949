// What a handler may use, and the shape of a handler.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "absl/status/status.h"

#include "common/base/clock.h"
#include "gateway/access/access_control.h"
#include "gateway/http/heartbeats.h"
#include "gateway/http/http_types.h"
#include "gateway/http/trusted_proxies.h"
#include "gateway/metrics.h"
#include "gateway/routing/worker_pool.h"
#include "skein/config/v1/gateway.pb.h"

namespace skein {

// Where the process is in its life. Readiness, liveness and startup are three questions:
// /startupz asks whether kStarting is over, /readyz whether requests should come here, /healthz
// whether the process still works.
enum class GatewayPhase { kStarting, kServing, kDraining };

// Outlives every handler and every call it started.
struct GatewayContext {
  WorkerPool& workers;
  GatewayMetrics& metrics;
  MetricsRegistry& registry;
  config::v1::GatewayConfig config;  // with defaults filled in
  const Clock& clock;
  AccessControl& access;
  std::shared_ptr<Heartbeats> heartbeats = std::make_shared<Heartbeats>();  // of HTTP threads
  TrustedProxies trusted_proxies = {};
  std::atomic<GatewayPhase> phase = GatewayPhase::kServing;
};

// A handler returns an error instead of an answer (who calls it turns it into an error object), or
// keeps `out` and answers through it, now or later. `caller` has the route's role.
using Handler = absl::Status (*)(const HttpRequest& request, const Caller& caller,
                                 GatewayContext& context, std::shared_ptr<HttpResponder> out);

struct Route {
  Method method;
  const char* path;  // a last segment of "{id}" matches any rest that is not empty
  Role role;         // that a key needs; kOpen: no key is needed
  Handler handler;
  bool is_probe = false;  // tells about the process itself: answered while it drains, too
};

// Dispatch of the listener for clients: what the HTTP server calls for each request.
void HandleRequest(const HttpRequest& request, GatewayContext& context,
                   std::shared_ptr<HttpResponder> out);
// The same for the listener that has nothing but probes and metrics, and asks for no keys.
void HandleProbe(const HttpRequest& request, GatewayContext& context,
                 std::shared_ptr<HttpResponder> out);

// RefuseByHead of the listener for clients.
std::optional<HttpResponse> RefuseByHead(const HttpRequest& request, const GatewayContext& context);

}  // namespace skein
