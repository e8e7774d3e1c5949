// GET /openapi.json: the description of this API.
#pragma once

#include <memory>

#include "gateway/endpoints/gateway_context.h"

namespace skein {

absl::Status OpenApi(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                     std::shared_ptr<HttpResponder> out);

}  // namespace skein
