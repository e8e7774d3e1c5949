// GET /v1/models and /v1/models/{id}: what the ready workers serve.
#pragma once

#include <memory>

#include "gateway/endpoints/gateway_context.h"

namespace skein {

absl::Status ListModels(const HttpRequest& request, GatewayContext& context,
                        std::shared_ptr<HttpResponder> out);
// NotFound for an unknown model.
absl::Status GetModel(const HttpRequest& request, GatewayContext& context,
                      std::shared_ptr<HttpResponder> out);

}  // namespace skein
