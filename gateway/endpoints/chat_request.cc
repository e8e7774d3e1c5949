#include "gateway/endpoints/chat_request.h"

#include "absl/strings/str_cat.h"

#include "gateway/endpoints/errors.h"
#include "gateway/endpoints/generation_fields.h"
#include "gateway/endpoints/messages.h"

namespace skein {
namespace {

namespace json = boost::json;

absl::Status SetMessages(const json::value& value, TextRequest& request) {
  return ReadMessages(value, *request.prompts.emplace_back().mutable_chat());
}

absl::Status SetMaxCompletionTokens(const json::value& value, TextRequest& request) {
  request.max_completion_tokens = IntOf(value);
  request.generate.mutable_stopping()->set_max_tokens(
      static_cast<uint32_t>(*request.max_completion_tokens));
  return absl::OkStatus();
}

absl::Status SetLogprobs(const json::value& value, TextRequest& request) {
  request.logprobs = value.get_bool();
  return absl::OkStatus();
}

absl::Status SetTopLogprobs(const json::value& value, TextRequest& request) {
  request.top_logprobs = IntOf(value);
  return absl::OkStatus();
}

absl::Status CheckChat(TextRequest& request) {
  if (request.max_tokens.has_value() && request.max_completion_tokens.has_value() &&
      *request.max_tokens != *request.max_completion_tokens) {
    return FieldError("max_completion_tokens",
                      absl::StrCat("found ", *request.max_completion_tokens, ", but max_tokens is ",
                                   *request.max_tokens, "; give one of the two"));
  }
  if (request.logprobs) {
    request.generate.mutable_logprobs()->set_top(
        static_cast<uint32_t>(request.top_logprobs.value_or(0)));
  } else if (request.top_logprobs.has_value()) {
    return FieldError("top_logprobs", "only allowed when logprobs is true");
  }
  return CheckGeneration(request);
}

constexpr Range kTokens = {.min = 1, .max = 2147483647};
constexpr char kNoTools[] = "tools are not available.";
constexpr char kTextOnly[] = "models of this server read and write text only.";

constexpr FieldSpec Refused(const char* name, const char* reason, const char* only = "") {
  return {.name = name,
          .type = FieldType::kAny,
          .effect = reason,
          .use = FieldUse::kRefused,
          .only = only};
}
constexpr FieldSpec NoEffect(const char* name, FieldType type, const char* effect) {
  return {.name = name, .type = type, .effect = effect, .use = FieldUse::kNoEffect};
}

FieldTable<TextRequest> OwnFields() {
  return {
      {{.name = "messages",
        .type = FieldType::kMessages,
        .effect = "The conversation so far, rendered with the model's chat format.",
        .required = true},
       SetMessages},
      {{.name = "max_completion_tokens",
        .type = FieldType::kInteger,
        .range = kTokens,
        .default_value = "the model's limit",
        .effect = "At most so many tokens are drawn per choice."},
       SetMaxCompletionTokens},
      {{.name = "max_tokens",
        .type = FieldType::kInteger,
        .range = kTokens,
        .default_value = "the model's limit",
        .effect = "Older name of `max_completion_tokens`; if both are given they must be equal."},
       SetMaxTokens},
      {{.name = "logprobs",
        .type = FieldType::kBool,
        .default_value = "false",
        .effect = "Report the log-probability of every drawn token."},
       SetLogprobs},
      {{.name = "top_logprobs",
        .type = FieldType::kInteger,
        .range = {.min = 0, .max = 20},
        .default_value = "0",
        .effect = "Also report so many of the likeliest tokens at each place; needs `logprobs`."},
       SetTopLogprobs},
      {NoEffect("store", FieldType::kBool, "Without effect: nothing is stored.")},
      {NoEffect("metadata", FieldType::kStringMap, "Without effect.")},
      {NoEffect("service_tier", FieldType::kString, "Without effect: there is one tier.")},
      {NoEffect("safety_identifier", FieldType::kString, "Without effect.")},
      {NoEffect("parallel_tool_calls", FieldType::kBool,
                "Without effect, because there are no tools.")},
      {Refused("tools", kNoTools)},
      {Refused("tool_choice", kNoTools, "\"none\"")},
      {Refused("functions", kNoTools)},
      {Refused("function_call", kNoTools, "\"none\"")},
      {Refused("response_format", "output is not constrained to a format.", R"({"type":"text"})")},
      {Refused("modalities", kTextOnly, R"(["text"])")},
      {Refused("audio", kTextOnly)},
      {Refused("prediction", "predicted outputs are not available.")},
      {Refused("reasoning_effort", "models of this server have no such setting.")},
      {Refused("verbosity", "models of this server have no such setting.")},
      {Refused("web_search_options", "web search is not available.")},
      {Refused("prompt_cache_retention", "how long a prefix is kept cannot be chosen.")},
      {Refused("moderation", "there is no moderation.")},
  };
}

}  // namespace

const FieldTable<TextRequest>& ChatFields() {
  static const FieldTable<TextRequest> kFields = WithSharedFields(OwnFields());
  return kFields;
}

absl::StatusOr<TextRequest> ReadChatRequest(const json::object& body, uint32_t max_choices) {
  TextRequest request;
  request.max_choices = max_choices;
  RETURN_IF_ERROR(ReadFields(body, ChatFields(), "", request));
  RETURN_IF_ERROR(CheckChat(request));
  return request;
}

}  // namespace skein
