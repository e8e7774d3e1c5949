// POST /loadstatemodel, /mrss_loadstatemodel, /mrss_set_gatingweight and /removestatemodel: each
// goes to every ready worker of the model.
#pragma once

#include <memory>

#include "gateway/endpoints/gateway_context.h"

namespace skein {

// InvalidArgument for a bad body, NotFound for an unknown model. What workers say follows later.
absl::Status LoadStateModel(const HttpRequest& request, const Caller& caller,
                            GatewayContext& context, std::shared_ptr<HttpResponder> out);
absl::Status LoadMixtureModel(const HttpRequest& request, const Caller& caller,
                              GatewayContext& context, std::shared_ptr<HttpResponder> out);
absl::Status SetGatingWeight(const HttpRequest& request, const Caller& caller,
                             GatewayContext& context, std::shared_ptr<HttpResponder> out);
// All states and mixtures; the body is not looked at.
absl::Status RemoveStateModel(const HttpRequest& request, const Caller& caller,
                              GatewayContext& context, std::shared_ptr<HttpResponder> out);

}  // namespace skein
