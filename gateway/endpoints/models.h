// GET /v1/models and /v1/models/{id}: what the ready workers serve and the caller may use; a state,
// mixture or adapter of a model as "<model> <entry>".
#pragma once

#include <memory>

#include "gateway/endpoints/gateway_context.h"

namespace skein {

absl::Status ListModels(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                        std::shared_ptr<HttpResponder> out);
// NotFound for an unknown model, PermissionDenied for one that the caller may not use.
absl::Status GetModel(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                      std::shared_ptr<HttpResponder> out);

}  // namespace skein
