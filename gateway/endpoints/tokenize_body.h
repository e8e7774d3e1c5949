// The bodies of POST /v1/tokenize and /v1/detokenize, and the answer of the former.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "boost/json/object.hpp"

#include "gateway/endpoints/field_table.h"
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

}  // namespace skein
