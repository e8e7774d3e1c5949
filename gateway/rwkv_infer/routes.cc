#include "gateway/rwkv_infer/routes.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/config/access_config.h"
#include "gateway/endpoints/dispatch.h"
#include "gateway/endpoints/models.h"
#include "gateway/rwkv_infer/error_detail.h"
#include "gateway/rwkv_infer/models.h"
#include "gateway/rwkv_infer/states.h"
#include "gateway/rwkv_infer/text.h"

namespace skein {
namespace {

absl::Status HealthCheck(const HttpRequest&, const Caller&, GatewayContext&,
                         std::shared_ptr<HttpResponder> out) {
  out->Send({.body = R"({"message":"ok","status_code":200})", .headers = {}});
  return absl::OkStatus();
}

// A browser says whose page sends a request. Where no key is asked for, nothing else would keep the
// pages of others from loading models here.
absl::Status RefuseForeignPages(const HttpRequest& request, const GatewayContext& context) {
  const std::string origin(request.Header("origin"));
  if (origin.empty()) return absl::OkStatus();
  const auto& allowed = context.config.cors_origin();
  const bool is_allowed =
      std::any_of(allowed.begin(), allowed.end(),
                  [&origin](const std::string& entry) { return entry == "*" || entry == origin; });
  if (is_allowed) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("origin: \"", origin, "\" may not call, expected one of cors_origin"));
}

RouteTable Table(const GatewayContext& context) {
  if (IsLoopbackAddress(context.config.rwkv_infer_listen())) {
    return {.routes = RwkvInferRoutes(), .asks_keys = false, .check = RefuseForeignPages};
  }
  return {.routes = RwkvInferRoutes()};
}

}  // namespace

const std::vector<Route>& RwkvInferRoutes() {
  static const std::vector<Route> kRoutes = {
      {Method::kGet, "/healthcheck", Role::kOpen, HealthCheck, true},
      {Method::kPost, "/loadmodel", Role::kAdmin, LoadModel},
      {Method::kPost, "/removemodel", Role::kAdmin, RemoveModel},
      {Method::kPost, "/loadstatemodel", Role::kAdmin, LoadStateModel},
      {Method::kPost, "/mrss_loadstatemodel", Role::kAdmin, LoadMixtureModel},
      {Method::kPost, "/mrss_set_gatingweight", Role::kAdmin, SetGatingWeight},
      {Method::kPost, "/removestatemodel", Role::kAdmin, RemoveStateModel},
      {Method::kGet, "/models", Role::kInference, ListNames},
      {Method::kGet, "/v1/models", Role::kInference, ListModels},
      {Method::kPost, "/chat/completions", Role::kInference, InferChatCompletions},
      {Method::kPost, "/v1/chat/completions", Role::kInference, InferChatCompletions},
      {Method::kPost, "/completions", Role::kInference, InferCompletions},
      {Method::kPost, "/v1/completions", Role::kInference, InferCompletions},
  };
  return kRoutes;
}

void HandleRwkvInfer(const HttpRequest& request, GatewayContext& context,
                     std::shared_ptr<HttpResponder> out) {
  Dispatch(Table(context), request, context, WithErrorDetail(std::move(out)));
}

std::optional<HttpResponse> RefuseRwkvInferByHead(const HttpRequest& request,
                                                  const GatewayContext& context) {
  std::optional<HttpResponse> refusal = RefuseByHead(Table(context), request, context);
  if (refusal.has_value()) AddDetail(*refusal);
  return refusal;
}

}  // namespace skein
