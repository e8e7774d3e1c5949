// RWKV-Infer's HTTP API, for its clients: a listener of its own with a table of its own, the same
// pipeline behind it. docs/rwkv-infer.md tells what differs from that server.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "gateway/endpoints/gateway_context.h"

namespace skein {

const std::vector<Route>& RwkvInferRoutes();

// As HandleRequest and RefuseByHead of the other API. On a loopback address nobody needs a key, and
// web pages that `cors_origin` does not name are refused. Errors have their text as `detail`, too.
void HandleRwkvInfer(const HttpRequest& request, GatewayContext& context,
                     std::shared_ptr<HttpResponder> out);
std::optional<HttpResponse> RefuseRwkvInferByHead(const HttpRequest& request,
                                                  const GatewayContext& context);

}  // namespace skein
