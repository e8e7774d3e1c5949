// POST /v1/completions: the continuation of one prompt or several, streamed or whole.
#pragma once

#include <memory>

#include "gateway/endpoints/gateway_context.h"
#include "gateway/endpoints/text_request.h"

namespace skein {

// InvalidArgument for a bad body, NotFound for an unknown model, Unavailable if no worker is ready.
absl::Status Completions(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                         std::shared_ptr<HttpResponder> out);

// Answers a request whose model is resolved.
absl::Status AnswerCompletion(const HttpRequest& request, const Caller& caller,
                              GatewayContext& context, TextRequest text,
                              std::shared_ptr<HttpResponder> out);

}  // namespace skein
