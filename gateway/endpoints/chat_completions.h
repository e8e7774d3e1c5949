// POST /v1/chat/completions: the assistant's next turn, streamed or whole.
#pragma once

#include <memory>

#include "gateway/endpoints/gateway_context.h"

namespace skein {

// InvalidArgument for a bad body, NotFound for an unknown model, Unavailable if no worker is ready.
absl::Status ChatCompletions(const HttpRequest& request, const Caller& caller,
                             GatewayContext& context, std::shared_ptr<HttpResponder> out);

}  // namespace skein
