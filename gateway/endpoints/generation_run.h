// Answers a text request: one Generate call per prompt, their messages through a ReplyFormat to the
// client.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "gateway/endpoints/gateway_context.h"
#include "gateway/endpoints/reply_format.h"
#include "gateway/endpoints/text_request.h"

namespace skein {

// A new id that starts with `prefix`, the time, and what is known about the model.
ReplyHead NewReplyHead(absl::string_view prefix, const TextRequest& request,
                       const GatewayContext& context);

// Admits the request, starts its calls and returns; the answer follows. An error, if no call could
// be started, leaves the answer to the caller. Later errors: an error object with its status while
// nothing has been sent; after that a last event {"error": ...} without [DONE]. A stream begins
// with the worker's first message, or when the client has waited for too long. The calls are
// cancelled when the client leaves, and when one of them fails.
absl::Status AnswerGeneration(const HttpRequest& request, const Caller& caller,
                              GatewayContext& context, TextRequest text_request,
                              std::unique_ptr<ReplyFormat> format,
                              std::shared_ptr<HttpResponder> out);

}  // namespace skein
