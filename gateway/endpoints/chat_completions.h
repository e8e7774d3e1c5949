// POST /v1/chat/completions: the assistant's next turn, streamed or whole.
#pragma once

#include <memory>

#include "gateway/endpoints/gateway_context.h"
#include "gateway/endpoints/text_request.h"

namespace skein {

// InvalidArgument for a bad body, NotFound for an unknown model, Unavailable if no worker is ready.
absl::Status ChatCompletions(const HttpRequest& request, const Caller& caller,
                             GatewayContext& context, std::shared_ptr<HttpResponder> out);

// Answers a request whose model is resolved. `always_content` as in ChatReplyOptions.
absl::Status AnswerChat(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                        TextRequest chat, bool always_content, std::shared_ptr<HttpResponder> out);

}  // namespace skein
