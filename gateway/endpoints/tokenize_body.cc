#include "gateway/endpoints/tokenize_body.h"

#include <utility>

#include "boost/json/array.hpp"
#include "boost/json/serialize.hpp"

#include "common/base/status_macros.h"
#include "gateway/endpoints/errors.h"
#include "gateway/endpoints/logprobs_json.h"
#include "gateway/endpoints/messages.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr FieldSpec kModel = {.name = "model",
                              .type = FieldType::kString,
                              .range = {.min = 1, .max = 256},
                              .effect = "Name of a model, as GET /v1/models lists them.",
                              .required = true};

constexpr char kPrompt[] = "prompt";
constexpr char kText[] = "text";

absl::Status Twice(absl::string_view name) {
  return FieldError(name, "given together with another prompt");
}

template <const char* kName>
absl::Status SetText(const json::value& value, TokenizeBody& body) {
  if (body.request.has_prompt()) return Twice(kName);
  body.request.mutable_prompt()->set_text(StringOf(value));
  return absl::OkStatus();
}

}  // namespace

const FieldTable<TokenizeBody>& TokenizeFields() {
  static const FieldTable<TokenizeBody> kFields = {
      {kModel,
       [](const json::value& value, TokenizeBody& body) {
         body.request.set_model(StringOf(value));
         return absl::OkStatus();
       }},
      {{.name = "prompt",
        .type = FieldType::kString,
        .effect = "The text. One of this, `text` and `messages` is given."},
       SetText<kPrompt>},
      {{.name = "text", .type = FieldType::kString, .effect = "Another name of `prompt`."},
       SetText<kText>},
      {{.name = "messages",
        .type = FieldType::kMessages,
        .effect = "A conversation, rendered with the model's chat format."},
       [](const json::value& value, TokenizeBody& body) {
         if (body.request.has_prompt()) return Twice("messages");
         return ReadMessages(value, *body.request.mutable_prompt()->mutable_chat());
       }},
      {{.name = "return_token_strs",
        .type = FieldType::kBool,
        .default_value = "false",
        .effect = "Also return the text of every token."},
       [](const json::value& value, TokenizeBody& body) {
         body.return_token_strs = value.get_bool();
         return absl::OkStatus();
       }},
  };
  return kFields;
}

const FieldTable<v1::DetokenizeRequest>& DetokenizeFields() {
  static const FieldTable<v1::DetokenizeRequest> kFields = {
      {kModel,
       [](const json::value& value, v1::DetokenizeRequest& request) {
         request.set_model(StringOf(value));
         return absl::OkStatus();
       }},
      {{.name = "tokens",
        .type = FieldType::kTokenIds,
        .range = {.min = 0, .max = 4194304},
        .effect = "The token ids.",
        .required = true},
       [](const json::value& value, v1::DetokenizeRequest& request) {
         for (const json::value& id : value.get_array()) {
           request.add_ids(static_cast<uint32_t>(IntOf(id)));
         }
         return absl::OkStatus();
       }},
  };
  return kFields;
}

absl::StatusOr<TokenizeBody> ReadTokenizeBody(const json::object& body) {
  TokenizeBody tokenize;
  RETURN_IF_ERROR(ReadFields(body, TokenizeFields(), "", tokenize));
  if (!tokenize.request.has_prompt()) {
    return FieldError("prompt", "missing, expected prompt, text or messages");
  }
  return tokenize;
}

absl::StatusOr<v1::DetokenizeRequest> ReadDetokenizeBody(const json::object& body) {
  v1::DetokenizeRequest request;
  RETURN_IF_ERROR(ReadFields(body, DetokenizeFields(), "", request));
  return request;
}

std::string TokenizeReply(const TokenizeBody& body, const v1::TokenizeResponse& response) {
  json::array ids;
  json::array texts;
  for (const v1::TokenInfo& token : response.tokens()) {
    ids.push_back(token.id());
    if (body.return_token_strs) texts.push_back(json::value(TokenText(token.text())));
  }
  json::object reply = {{"model", body.request.model()},
                        {"count", response.tokens_size()},
                        {"tokens", std::move(ids)}};
  if (body.return_token_strs) reply["token_strs"] = std::move(texts);
  return json::serialize(reply);
}

}  // namespace skein
