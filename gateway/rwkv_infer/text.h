// POST /chat/completions and /completions, and the same below /v1.
#pragma once

#include <memory>

#include "gateway/endpoints/gateway_context.h"

namespace skein {

// As ChatCompletions and Completions of the native API, with RWKV-Infer's fields and defaults.
absl::Status InferChatCompletions(const HttpRequest& request, const Caller& caller,
                                  GatewayContext& context, std::shared_ptr<HttpResponder> out);
absl::Status InferCompletions(const HttpRequest& request, const Caller& caller,
                              GatewayContext& context, std::shared_ptr<HttpResponder> out);

}  // namespace skein
