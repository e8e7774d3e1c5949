// POST /loadmodel and /removemodel, GET /models. Models are loaded into every worker that is
// connected, and take the place of what it serves.
#pragma once

#include <memory>

#include "gateway/endpoints/gateway_context.h"

namespace skein {

// InvalidArgument for a bad body, Unavailable without workers. What workers say follows later.
absl::Status LoadModel(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                       std::shared_ptr<HttpResponder> out);
// The body is not looked at.
absl::Status RemoveModel(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                         std::shared_ptr<HttpResponder> out);
// A bare array of the names that requests may give as `model`.
absl::Status ListNames(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                       std::shared_ptr<HttpResponder> out);

}  // namespace skein
