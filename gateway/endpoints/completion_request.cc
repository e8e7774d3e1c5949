#include "gateway/endpoints/completion_request.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

#include "gateway/endpoints/errors.h"
#include "gateway/endpoints/generation_fields.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr int64_t kDefaultMaxTokens = 16;  // OpenAI's
constexpr char kPromptTypes[] =
    "a string, a list of strings, a list of token ids, or a list of such lists";

absl::Status ReadTokens(absl::string_view path, const json::array& ids, v1::Prompt& prompt) {
  v1::TokenIds& tokens = *prompt.mutable_tokens();
  tokens.mutable_ids()->Reserve(static_cast<int>(ids.size()));
  for (size_t i = 0; i < ids.size(); ++i) {
    ASSIGN_OR_RETURN(const uint32_t id, TokenId(absl::StrCat(path, "[", i, "]"), ids[i]));
    tokens.add_ids(id);
  }
  return absl::OkStatus();
}

// One of several prompts. The first one decides of which kind all of them are.
absl::Status ReadOneOf(absl::string_view path, const json::value& value, bool text,
                       v1::Prompt& prompt) {
  if (text) {
    if (!value.is_string()) return WrongType(path, value, "a string, like the first prompt");
    prompt.set_text(StringOf(value));
    return absl::OkStatus();
  }
  if (!value.is_array()) {
    return WrongType(path, value, "a list of token ids, like the first prompt");
  }
  if (value.get_array().empty()) {
    return FieldError(path, "an empty list, expected at least one token id");
  }
  return ReadTokens(path, value.get_array(), prompt);
}

absl::Status SetPrompt(const json::value& value, TextRequest& request) {
  if (value.is_string()) {
    request.prompts.emplace_back().set_text(StringOf(value));
    return absl::OkStatus();
  }
  if (!value.is_array()) return WrongType("prompt", value, kPromptTypes);
  const json::array& list = value.get_array();
  if (list.empty()) {
    return FieldError("prompt", absl::StrCat("an empty list, expected ", kPromptTypes));
  }
  if (list[0].is_number()) return ReadTokens("prompt", list, request.prompts.emplace_back());
  if (!list[0].is_string() && !list[0].is_array()) {
    return WrongType("prompt[0]", list[0], "text, a token id or a list of them");
  }
  if (list.size() > kMaxPrompts) {
    return WithCode(FieldError("prompt", absl::StrCat("found ", list.size(),
                                                      " prompts, expected at most ", kMaxPrompts)),
                    "invalid_value");
  }
  for (size_t i = 0; i < list.size(); ++i) {
    RETURN_IF_ERROR(ReadOneOf(absl::StrCat("prompt[", i, "]"), list[i], list[0].is_string(),
                              request.prompts.emplace_back()));
  }
  return absl::OkStatus();
}

absl::Status SetEcho(const json::value& value, TextRequest& request) {
  request.generate.set_echo(value.get_bool());
  return absl::OkStatus();
}

absl::Status SetLogprobs(const json::value& value, TextRequest& request) {
  request.generate.mutable_logprobs()->set_top(static_cast<uint32_t>(IntOf(value)));
  return absl::OkStatus();
}

absl::Status SetBestOf(const json::value& value, TextRequest& request) {
  request.best_of = IntOf(value);
  return absl::OkStatus();
}

absl::Status CheckCompletion(TextRequest& request) {
  const int64_t n = std::max(1u, request.generate.n());
  if (request.best_of.has_value() && *request.best_of != n) {
    return WithCode(
        FieldError("best_of", absl::StrCat("found ", *request.best_of, ", only the value of n, ", n,
                                           ", is supported")),
        "unsupported_value");
  }
  if (!request.max_tokens.has_value()) {
    request.generate.mutable_stopping()->set_max_tokens(kDefaultMaxTokens);
  }
  if (request.generate.echo() && request.generate.has_logprobs()) {
    request.generate.mutable_logprobs()->set_prompt(true);
  }
  return CheckGeneration(request);
}

FieldTable<TextRequest> OwnFields() {
  return {
      {{.name = "prompt",
        .type = FieldType::kPrompt,
        .effect = "What to continue. Each of several prompts (at most 128) gets its own `n` "
                  "choices, numbered prompt by prompt.",
        .required = true},
       SetPrompt},
      {{.name = "max_tokens",
        .type = FieldType::kInteger,
        .range = {.min = 1, .max = 2147483647},
        .default_value = "16",
        .effect = "At most so many tokens are drawn per choice."},
       SetMaxTokens},
      {{.name = "echo",
        .type = FieldType::kBool,
        .default_value = "false",
        .effect = "The text of each choice begins with its prompt; with `logprobs`, those of the "
                  "prompt are reported too."},
       SetEcho},
      {{.name = "logprobs",
        .type = FieldType::kInteger,
        .range = {.min = 0, .max = 5},
        .default_value = "off",
        .effect = "Report the log-probability of every token, and of so many of the likeliest at "
                  "each place."},
       SetLogprobs},
      {{.name = "best_of",
        .type = FieldType::kInteger,
        .range = {.min = 1, .max = 128},
        .default_value = "n",
        .effect = "Must equal `n`: all choices that are drawn are returned."},
       SetBestOf},
      {{.name = "suffix",
        .type = FieldType::kAny,
        .effect = "text is continued, never filled in.",
        .use = FieldUse::kRefused}},
  };
}

}  // namespace

const FieldTable<TextRequest>& CompletionFields() {
  static const FieldTable<TextRequest> kFields = WithSharedFields(OwnFields());
  return kFields;
}

absl::StatusOr<TextRequest> ReadCompletionRequest(const json::object& body, uint32_t max_choices) {
  TextRequest request;
  request.max_choices = max_choices;
  RETURN_IF_ERROR(ReadFields(body, CompletionFields(), "", request));
  RETURN_IF_ERROR(CheckCompletion(request));
  return request;
}

}  // namespace skein
