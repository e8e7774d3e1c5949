#include "gateway/endpoints/routes.h"

#include <initializer_list>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "gateway/endpoints/chat_completions.h"
#include "gateway/endpoints/completions.h"
#include "gateway/endpoints/cors.h"
#include "gateway/endpoints/counted_responder.h"
#include "gateway/endpoints/errors.h"
#include "gateway/endpoints/models.h"
#include "gateway/endpoints/openapi.h"
#include "gateway/endpoints/probes.h"
#include "gateway/endpoints/registry_admin.h"
#include "gateway/endpoints/tokenize.h"

namespace skein {
namespace {

constexpr char kOther[] = "other";  // the label of what is no route of ours

bool Matches(const Route& route, absl::string_view path) {
  absl::string_view prefix = route.path;
  if (!absl::ConsumeSuffix(&prefix, "{id}")) return path == prefix;
  return absl::StartsWith(path, prefix) && path.size() > prefix.size();
}

// HEAD is served wherever GET is; the HTTP server leaves the body out.
bool Serves(const Route& route, Method method) {
  return route.method == method || (route.method == Method::kGet && method == Method::kHead);
}

const char* AllowedMethods(const Route& route) {
  if (route.method == Method::kDelete) return "DELETE";
  return route.method == Method::kGet ? "GET, HEAD" : "POST";
}

HttpResponse MethodNotAllowed(const HttpRequest& request, const Route& route) {
  const absl::Status status =
      WithCode(absl::InvalidArgumentError(absl::StrCat(
                   request.path, ": this method is not allowed, expected ", AllowedMethods(route))),
               "method_not_allowed");
  HttpResponse response = ErrorResponse(status, request.request_id);
  response.status = 405;
  response.headers.emplace_back("Allow", AllowedMethods(route));
  return response;
}

HttpResponse NoSuchRoute(const HttpRequest& request) {
  const absl::Status status =
      WithCode(absl::NotFoundError(absl::StrCat(request.path, ": no such route")), "unknown_url");
  return ErrorResponse(status, request.request_id);
}

HttpResponse NoBodyExpected(const HttpRequest& request) {
  const absl::Status status = WithCode(
      absl::InvalidArgumentError(absl::StrCat(request.path, ": takes no body")), "body_too_large");
  HttpResponse response = ErrorResponse(status, request.request_id);
  response.status = 413;
  return response;
}

const Route* FindRoute(const std::vector<Route>& routes, absl::string_view path) {
  for (const Route& route : routes) {
    if (Matches(route, path)) return &route;
  }
  return nullptr;
}

std::vector<Route> WithProbes(std::vector<Route> routes) {
  routes.insert(routes.end(), ProbeRoutes().begin(), ProbeRoutes().end());
  return routes;
}

absl::Status CheckServing(const HttpRequest& request, const GatewayContext& context) {
  if (context.phase != GatewayPhase::kDraining) return absl::OkStatus();
  if (FindRoute(ProbeRoutes(), request.path) != nullptr) return absl::OkStatus();
  context.metrics.CountRefusal("draining");
  return WithCode(absl::UnavailableError("this server is shutting down"), "draining");
}

void RecordRoute(const HttpRequest& request, const Route* route) {
  if (route == nullptr) return;
  const bool is_probe = FindRoute(ProbeRoutes(), request.path) != nullptr;
  request.access->Update([route, is_probe](AccessFacts& facts) {
    facts.route = route->path;
    facts.is_probe = is_probe;
  });
}

// What each of the route's answers may have for a status.
std::vector<int> StatusesOf(const Route& route) {
  std::vector<int> statuses = {200, 405, 499, 500, 503};
  const auto add = [&statuses](std::initializer_list<int> more) {
    statuses.insert(statuses.end(), more);
  };
  if (route.role != Role::kOpen) add({401, 403});
  if (route.role == Role::kInference) add({400, 404, 422, 429, 501, 504});
  return statuses;
}

enum class Keys { kAsked, kNotAsked };

void Dispatch(const std::vector<Route>& routes, Keys keys, const HttpRequest& request,
              GatewayContext& context, std::shared_ptr<HttpResponder> out) {
  const Route* route = FindRoute(routes, request.path);
  RecordRoute(request, route);
  out = CountAnswer(std::move(out), context.metrics, context.clock,
                    route == nullptr ? kOther : route->path, request.received);
  const CorsAnswer cors = AnswerCors(request, context.config.cors_origin());
  for (const auto& [name, value] : cors.headers) out->AddHeader(name, value);
  if (cors.preflight) {
    out->Send({.status = 204, .body = "", .headers = {}});
    return;
  }
  if (route == nullptr) {
    out->Send(NoSuchRoute(request));
    return;
  }
  if (!Serves(*route, request.method)) {
    out->Send(MethodNotAllowed(request, *route));
    return;
  }
  absl::Status status = CheckServing(request, context);
  absl::StatusOr<Caller> caller =
      keys == Keys::kAsked ? context.access.Identify(request.Header("authorization"), route->role)
                           : Caller();
  if (status.ok()) status = caller.status();
  if (status.ok()) {
    request.access->Update([&caller](AccessFacts& facts) { facts.key = caller->name(); });
    status = route->handler(request, *caller, context, out);
  }
  if (status.ok()) return;
  request.access->Update([&status](AccessFacts& facts) { facts.error = StatusLabel(status); });
  out->Send(ErrorResponse(status, request.request_id));
}

}  // namespace

const std::vector<Route>& ProbeRoutes() {
  static const std::vector<Route> kRoutes = {
      {Method::kGet, "/healthz", Role::kOpen, Healthz},
      {Method::kGet, "/readyz", Role::kOpen, Readyz},
      {Method::kGet, "/startupz", Role::kOpen, Startupz},
      {Method::kGet, "/metrics", Role::kMetrics, Metrics},
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

void ExpectRequests(GatewayMetrics& metrics) {
  for (const Route& route : Routes()) metrics.ExpectRequests(route.path, StatusesOf(route));
  metrics.ExpectRequests(kOther, {400, 401, 403, 404, 405, 408, 413, 417, 431, 499, 500, 501, 503});
}

void HandleRequest(const HttpRequest& request, GatewayContext& context,
                   std::shared_ptr<HttpResponder> out) {
  Dispatch(Routes(), Keys::kAsked, request, context, std::move(out));
}

std::optional<HttpResponse> RefuseByHead(const HttpRequest& request,
                                         const GatewayContext& context) {
  const Route* route = FindRoute(Routes(), request.path);
  if (route == nullptr) return NoSuchRoute(request);
  if (!Serves(*route, request.method)) return MethodNotAllowed(request, *route);
  if (route->method != Method::kPost) return NoBodyExpected(request);
  const absl::StatusOr<Caller> caller =
      context.access.Identify(request.Header("authorization"), route->role);
  if (caller.ok()) return std::nullopt;
  HttpResponse response = ErrorResponse(caller.status(), request.request_id);
  for (auto& header : AnswerCors(request, context.config.cors_origin()).headers) {
    response.headers.push_back(std::move(header));
  }
  return response;
}

void HandleProbe(const HttpRequest& request, GatewayContext& context,
                 std::shared_ptr<HttpResponder> out) {
  Dispatch(ProbeRoutes(), Keys::kNotAsked, request, context, std::move(out));
}

}  // namespace skein
