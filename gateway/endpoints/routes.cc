#include "gateway/endpoints/routes.h"

#include <utility>

#include "gateway/endpoints/chat_completions.h"
#include "gateway/endpoints/completions.h"
#include "gateway/endpoints/dispatch.h"
#include "gateway/endpoints/models.h"
#include "gateway/endpoints/openapi.h"
#include "gateway/endpoints/probes.h"
#include "gateway/endpoints/registry_admin.h"
#include "gateway/endpoints/tokenize.h"

namespace skein {
namespace {

std::vector<Route> WithProbes(std::vector<Route> routes) {
  routes.insert(routes.end(), ProbeRoutes().begin(), ProbeRoutes().end());
  return routes;
}

}  // namespace

const std::vector<Route>& ProbeRoutes() {
  static const std::vector<Route> kRoutes = {
      {Method::kGet, "/healthz", Role::kOpen, Healthz, true},
      {Method::kGet, "/readyz", Role::kOpen, Readyz, true},
      {Method::kGet, "/startupz", Role::kOpen, Startupz, true},
      {Method::kGet, "/metrics", Role::kMetrics, Metrics, true},
  };
  return kRoutes;
}

const std::vector<Route>& Routes() {
  static const std::vector<Route> kRoutes = WithProbes({
      {Method::kPost, "/v1/chat/completions", Role::kInference, ChatCompletions},
      {Method::kPost, "/v1/completions", Role::kInference, Completions},
      {Method::kGet, "/v1/models", Role::kInference, ListModels},
      {Method::kGet, "/v1/models/{id}", Role::kInference, GetModel},
      {Method::kPost, "/v1/tokenize", Role::kInference, Tokenize},
      {Method::kPost, "/v1/detokenize", Role::kInference, Detokenize},
      {Method::kPost, "/v1/states", Role::kAdmin, PostState},
      {Method::kDelete, "/v1/states/{id}", Role::kAdmin, DeleteState},
      {Method::kPost, "/v1/mixtures", Role::kAdmin, PostMixture},
      {Method::kDelete, "/v1/mixtures/{id}", Role::kAdmin, DeleteMixture},
      {Method::kPost, "/v1/adapters", Role::kAdmin, PostAdapter},
      {Method::kDelete, "/v1/adapters/{id}", Role::kAdmin, DeleteAdapter},
      {Method::kGet, "/openapi.json", Role::kOpen, OpenApi},
  });
  return kRoutes;
}

void ExpectRequests(GatewayMetrics& metrics) { ExpectRequests(Routes(), metrics); }

void HandleRequest(const HttpRequest& request, GatewayContext& context,
                   std::shared_ptr<HttpResponder> out) {
  Dispatch({.routes = Routes()}, request, context, std::move(out));
}

std::optional<HttpResponse> RefuseByHead(const HttpRequest& request,
                                         const GatewayContext& context) {
  return RefuseByHead({.routes = Routes()}, request, context);
}

void HandleProbe(const HttpRequest& request, GatewayContext& context,
                 std::shared_ptr<HttpResponder> out) {
  Dispatch({.routes = ProbeRoutes(), .asks_keys = false}, request, context, std::move(out));
}

}  // namespace skein
