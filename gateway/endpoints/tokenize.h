// POST /v1/tokenize: text in, token ids out. POST /v1/detokenize: the way back.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "boost/json/object.hpp"

#include "gateway/endpoints/field_table.h"
#include "gateway/endpoints/gateway_context.h"
#include "skein/v1/inference.pb.h"

namespace skein {

struct TokenizeBody {
  v1::TokenizeRequest request;
  bool return_token_strs = false;
};

const FieldTable<TokenizeBody>& TokenizeFields();
const FieldTable<v1::DetokenizeRequest>& DetokenizeFields();

// InvalidArgument naming the field.
absl::StatusOr<TokenizeBody> ReadTokenizeBody(const boost::json::object& body);
absl::StatusOr<v1::DetokenizeRequest> ReadDetokenizeBody(const boost::json::object& body);
// {"model", "tokens", "count"} and, if wanted, "token_strs".
std::string TokenizeReply(const TokenizeBody& body, const v1::TokenizeResponse& response);

// InvalidArgument for a bad body or a model without a tokenizer, NotFound for an unknown model.
absl::Status Tokenize(const HttpRequest& request, GatewayContext& context,
                      std::shared_ptr<HttpResponder> out);
absl::Status Detokenize(const HttpRequest& request, GatewayContext& context,
                        std::shared_ptr<HttpResponder> out);

}  // namespace skein
