#include "gateway/rwkv_infer/text_bodies.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

#include "common/base/status_macros.h"
#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/completion_request.h"
#include "gateway/endpoints/conditioning_fields.h"
#include "gateway/endpoints/errors.h"
#include "gateway/rwkv_infer/lenient_fields.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr int64_t kDefaultMaxTokens = 1024;
constexpr int64_t kMaxTokensWithParams = 1000;

template <std::optional<float> TextParams::*Member>
absl::Status SetFloat(const json::value& value, TextParams& params) {
  params.*Member = FloatOf(value);
  return absl::OkStatus();
}

absl::Status SetMaxTokensOfParams(const json::value& value, TextParams& params) {
  params.max_tokens = IntOf(value);
  return absl::OkStatus();
}

absl::Status SetParams(const json::value& value, TextExtras& extras) {
  return ReadFields(KnownFields(value.get_object(), Specs(ParamsFields())), ParamsFields(),
                    "params.", extras.params.emplace());
}

absl::Status SetWeights(const json::value& value, TextExtras& extras) {
  extras.weights.emplace();
  for (const json::value& weight : value.get_array()) extras.weights->push_back(FloatOf(weight));
  return absl::OkStatus();
}

// Those of the native API that count here, too. The model's name alone chooses states and adapters,
// and best_of has never had an effect.
std::vector<FieldSpec> NativeFields(const FieldTable<TextRequest>& table) {
  std::vector<FieldSpec> fields;
  const std::vector<FieldSpec> left_out = Specs(ConditioningFields());
  for (const Field<TextRequest>& field : table) {
    const absl::string_view name = field.spec.name;
    const bool is_left_out = name == "best_of" || std::any_of(left_out.begin(), left_out.end(),
                                                              [name](const FieldSpec& spec) {
                                                                return name == spec.name;
                                                              });
    if (!is_left_out) fields.push_back(field.spec);
  }
  return fields;
}

bool IsTextPart(const json::value& part) {
  const json::object* object = part.if_object();
  if (object == nullptr) return false;
  const json::value* type = object->if_contains("type");
  return object->contains("text") && (type == nullptr || *type == "text");
}

json::value TextOf(const json::value& content) {
  if (!content.is_array()) return content;
  json::array parts;
  for (const json::value& part : content.get_array()) {
    if (IsTextPart(part)) parts.push_back({{"type", "text"}, {"text", part.at("text")}});
  }
  if (parts.empty()) return "";
  return parts;
}

json::value RoleOf(const json::value& role) {
  if (!role.is_string()) return role;
  return json::value(absl::AsciiStrToLower(StringOf(role)));
}

json::value NativeMessages(const json::value& messages) {
  if (!messages.is_array()) return messages;
  json::array native;
  for (const json::value& message : messages.get_array()) {
    const json::object* object = message.if_object();
    if (object == nullptr) {
      native.push_back(message);
      continue;
    }
    json::object turn;
    if (const json::value* role = object->if_contains("role")) turn["role"] = RoleOf(*role);
    if (const json::value* text = object->if_contains("content")) turn["content"] = TextOf(*text);
    native.push_back(std::move(turn));
  }
  return native;
}

bool Has(const json::object& body, json::string_view field) {
  const json::value* value = body.if_contains(field);
  return value != nullptr && !value->is_null();
}

// A body in two: what the native API reads, and the rest.
struct SplitBody {
  json::object native;
  TextExtras extras;
  bool has_default_length = false;
};

absl::StatusOr<SplitBody> Split(const json::object& body, const FieldTable<TextRequest>& table) {
  std::vector<FieldSpec> fields = NativeFields(table);
  for (const FieldSpec& spec : Specs(ExtraFields())) fields.push_back(spec);
  SplitBody split;
  split.native = KnownFields(body, fields);
  json::object extras;
  for (const FieldSpec& spec : Specs(ExtraFields())) {
    const json::value* value = split.native.if_contains(spec.name);
    if (value == nullptr) continue;
    extras[spec.name] = *value;
    split.native.erase(spec.name);
  }
  RETURN_IF_ERROR(ReadFields(extras, ExtraFields(), "", split.extras));
  if (Has(split.native, "max_tokens") || Has(split.native, "max_completion_tokens")) return split;
  const bool has_params = split.extras.params.has_value();
  split.has_default_length = !has_params || !split.extras.params->max_tokens.has_value();
  const int64_t by_default = has_params ? kMaxTokensWithParams : kDefaultMaxTokens;
  split.native["max_tokens"] =
      split.has_default_length ? by_default : *split.extras.params->max_tokens;
  return split;
}

// A length that the client has not asked for is no reason to refuse its request.
InferText Finish(TextRequest request, SplitBody split) {
  if (split.has_default_length) {
    request.generate.mutable_stopping()->set_clip_max_tokens(true);
  }
  return {std::move(request), std::move(split.extras)};
}

constexpr Range kPenalty = {.min = -2, .max = 2};

}  // namespace

const FieldTable<TextParams>& ParamsFields() {
  static const FieldTable<TextParams> kFields = {
      {{.name = "temperature",
        .type = FieldType::kNumber,
        .range = {.min = 0, .max = 2},
        .default_value = "1",
        .effect = "Where neither the request nor the state that it chooses says it."},
       SetFloat<&TextParams::temperature>},
      {{.name = "top_p",
        .type = FieldType::kNumber,
        .range = {.min = 0, .max = 1},
        .default_value = "0.3",
        .effect = "The same."},
       SetFloat<&TextParams::top_p>},
      {{.name = "max_tokens",
        .type = FieldType::kInteger,
        .range = {.min = 1, .max = 2147483647},
        .default_value = "1000",
        .effect = "Where the request does not say it."},
       SetMaxTokensOfParams},
      {{.name = "presence_penalty",
        .type = FieldType::kNumber,
        .range = kPenalty,
        .default_value = "0.2",
        .effect = "The same."},
       SetFloat<&TextParams::presence_penalty>},
      {{.name = "frequency_penalty",
        .type = FieldType::kNumber,
        .range = kPenalty,
        .default_value = "0.3",
        .effect = "The same."},
       SetFloat<&TextParams::frequency_penalty>},
      {{.name = "penalty_decay",
        .type = FieldType::kNumber,
        .range = {.min = 0, .max = 1, .above_min = true},
        .default_value = "0.996",
        .effect = "The same."},
       SetFloat<&TextParams::penalty_decay>},
  };
  return kFields;
}

const FieldTable<TextExtras>& ExtraFields() {
  static const FieldTable<TextExtras> kFields = {
      {{.name = "params",
        .type = FieldType::kOptions,
        .effect = "Settings for what the request does not say itself, in place of the model's; "
                  "what it leaves out has the defaults below."},
       SetParams},
      {{.name = "mrss_gatingweight",
        .type = FieldType::kNumbers,
        .range = {.min = 1, .max = 128},
        .default_value = "the mixture's",
        .effect = "Where `model` chooses a mixture: the weights of its states for this request, as "
                  "in /mrss_set_gatingweight. Else without effect."},
       SetWeights},
  };
  return kFields;
}

absl::StatusOr<InferText> ReadInferChat(const json::object& body, uint32_t max_choices) {
  ASSIGN_OR_RETURN(SplitBody split, Split(body, ChatFields()));
  if (const json::value* messages = split.native.if_contains("messages")) {
    split.native["messages"] = NativeMessages(*messages);
  }
  ASSIGN_OR_RETURN(TextRequest request, ReadChatRequest(split.native, max_choices));
  return Finish(std::move(request), std::move(split));
}

absl::StatusOr<InferText> ReadInferCompletion(const json::object& body, uint32_t max_choices) {
  ASSIGN_OR_RETURN(SplitBody split, Split(body, CompletionFields()));
  ASSIGN_OR_RETURN(TextRequest request, ReadCompletionRequest(split.native, max_choices));
  for (const v1::Prompt& prompt : request.prompts) {
    if (prompt.has_text() && prompt.text().empty()) {
      return FieldError("prompt", "empty, expected a text");
    }
  }
  return Finish(std::move(request), std::move(split));
}

}  // namespace skein
