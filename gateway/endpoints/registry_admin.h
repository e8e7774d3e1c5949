// POST /v1/states, /v1/mixtures and /v1/adapters, DELETE of one of them by the id that
// GET /v1/models lists. Each goes to every ready worker of the model, and the answer says which
// took it.
#pragma once

#include <memory>

#include "gateway/endpoints/gateway_context.h"

namespace skein {

// InvalidArgument for a bad body, NotFound for an unknown model. What workers say follows later.
absl::Status PostState(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                       std::shared_ptr<HttpResponder> out);
absl::Status PostMixture(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                         std::shared_ptr<HttpResponder> out);
absl::Status PostAdapter(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                         std::shared_ptr<HttpResponder> out);
absl::Status DeleteState(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                         std::shared_ptr<HttpResponder> out);
absl::Status DeleteMixture(const HttpRequest& request, const Caller& caller,
                           GatewayContext& context, std::shared_ptr<HttpResponder> out);
absl::Status DeleteAdapter(const HttpRequest& request, const Caller& caller,
                           GatewayContext& context, std::shared_ptr<HttpResponder> out);

}  // namespace skein
