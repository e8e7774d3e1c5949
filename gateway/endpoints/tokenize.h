// POST /v1/tokenize: text in, token ids out. POST /v1/detokenize: the way back.
#pragma once

#include <memory>

#include "gateway/endpoints/gateway_context.h"

namespace skein {

// InvalidArgument for a bad body or a model without a tokenizer, NotFound for an unknown model.
absl::Status Tokenize(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                      std::shared_ptr<HttpResponder> out);
absl::Status Detokenize(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                        std::shared_ptr<HttpResponder> out);

}  // namespace skein
