#include "gateway/endpoints/dispatch.h"

#include <initializer_list>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "common/base/status_macros.h"
#include "gateway/endpoints/cors.h"
#include "gateway/endpoints/counted_responder.h"
#include "gateway/endpoints/errors.h"

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

absl::Status CheckServing(const Route& route, const GatewayContext& context) {
  if (context.phase != GatewayPhase::kDraining || route.is_probe) return absl::OkStatus();
  context.metrics.CountRefusal("draining");
  return WithCode(absl::UnavailableError("this server is shutting down"), "draining");
}

void RecordRoute(const HttpRequest& request, const Route* route) {
  if (route == nullptr) return;
  request.access->Update([route](AccessFacts& facts) {
    facts.route = route->path;
    facts.is_probe = route->is_probe;
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

absl::StatusOr<Caller> Identify(const RouteTable& table, const Route& route,
                                const HttpRequest& request, const GatewayContext& context) {
  if (!table.asks_keys) return Caller();
  return context.access.Identify(request.Header("authorization"), route.role);
}

absl::Status Serve(const RouteTable& table, const Route& route, const HttpRequest& request,
                   GatewayContext& context, std::shared_ptr<HttpResponder> out) {
  RETURN_IF_ERROR(CheckServing(route, context));
  if (table.check != nullptr) RETURN_IF_ERROR(table.check(request, context));
  ASSIGN_OR_RETURN(const Caller caller, Identify(table, route, request, context));
  request.access->Update([&caller](AccessFacts& facts) { facts.key = caller.name(); });
  return route.handler(request, caller, context, std::move(out));
}

}  // namespace

void Dispatch(const RouteTable& table, const HttpRequest& request, GatewayContext& context,
              std::shared_ptr<HttpResponder> out) {
  const Route* route = FindRoute(table.routes, request.path);
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
  const absl::Status status = Serve(table, *route, request, context, out);
  if (status.ok()) return;
  request.access->Update([&status](AccessFacts& facts) { facts.error = StatusLabel(status); });
  out->Send(ErrorResponse(status, request.request_id));
}

std::optional<HttpResponse> RefuseByHead(const RouteTable& table, const HttpRequest& request,
                                         const GatewayContext& context) {
  const Route* route = FindRoute(table.routes, request.path);
  if (route == nullptr) return NoSuchRoute(request);
  if (!Serves(*route, request.method)) return MethodNotAllowed(request, *route);
  if (route->method != Method::kPost) return NoBodyExpected(request);
  const absl::StatusOr<Caller> caller = Identify(table, *route, request, context);
  if (caller.ok()) return std::nullopt;
  HttpResponse response = ErrorResponse(caller.status(), request.request_id);
  for (auto& header : AnswerCors(request, context.config.cors_origin()).headers) {
    response.headers.push_back(std::move(header));
  }
  return response;
}

void ExpectRequests(const std::vector<Route>& routes, GatewayMetrics& metrics) {
  for (const Route& route : routes) metrics.ExpectRequests(route.path, StatusesOf(route));
  metrics.ExpectRequests(kOther, {400, 401, 403, 404, 405, 408, 413, 417, 431, 499, 500, 501, 503});
}

}  // namespace skein
