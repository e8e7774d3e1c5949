#include "gateway/endpoints/openapi_document.h"

#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_split.h"
#include "boost/json/array.hpp"
#include "boost/json/parse.hpp"

#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/completion_request.h"
#include "gateway/endpoints/conditioning_fields.h"
#include "gateway/endpoints/generation_fields.h"
#include "gateway/endpoints/messages.h"
#include "gateway/endpoints/openapi_parts.h"
#include "gateway/endpoints/registry_body.h"
#include "gateway/endpoints/tokenize_body.h"

namespace skein {
namespace {

namespace json = boost::json;

json::value Number(double value) {
  const bool integral = std::floor(value) == value && std::abs(value) < 1e15;
  return integral ? json::value(static_cast<int64_t>(value)) : json::value(value);
}

void AddLimits(const FieldSpec& spec, const char* min, const char* max, json::object& schema) {
  if (std::isfinite(spec.range.min)) {
    schema[spec.range.above_min ? "exclusiveMinimum" : min] = Number(spec.range.min);
  }
  if (std::isfinite(spec.range.max)) schema[max] = Number(spec.range.max);
}

json::object ListOf(json::value items) { return {{"type", "array"}, {"items", std::move(items)}}; }

json::object Reference(const char* name) {
  return {{"$ref", std::string("#/components/schemas/") + name}};
}

json::object TokenIdSchema() {
  return {{"type", "integer"}, {"minimum", 0}, {"maximum", 4294967295}};
}

json::object EnumSchema(const FieldSpec& spec) {
  json::array values;
  for (const absl::string_view value : absl::StrSplit(spec.values, '|')) {
    values.push_back(json::value(std::string(value)));
  }
  return {{"type", "string"}, {"enum", std::move(values)}};
}

json::object TextOrTexts(const FieldSpec& spec) {
  json::object list = ListOf({{"type", "string"}});
  AddLimits(spec, "minItems", "maxItems", list);
  return {{"oneOf", json::array{json::object{{"type", "string"}}, std::move(list)}}};
}

json::object PromptSchema() {
  const json::object text = {{"type", "string"}};
  return {{"oneOf", json::array{text, ListOf(text), ListOf(TokenIdSchema()),
                                ListOf(ListOf(TokenIdSchema()))}}};
}

json::object Limited(json::object schema, const FieldSpec& spec, const char* min, const char* max) {
  AddLimits(spec, min, max, schema);
  return schema;
}

json::object TypeSchema(const FieldSpec& spec) {
  switch (spec.type) {
    case FieldType::kBool:
      return {{"type", "boolean"}};
    case FieldType::kInteger:
      return Limited({{"type", "integer"}}, spec, "minimum", "maximum");
    case FieldType::kNumber:
      return Limited({{"type", "number"}}, spec, "minimum", "maximum");
    case FieldType::kString:
      return Limited({{"type", "string"}}, spec, "minLength", "maxLength");
    case FieldType::kEnum:
      return EnumSchema(spec);
    case FieldType::kStop:
      return TextOrTexts(spec);
    case FieldType::kNumbers:
      return Limited(ListOf({{"type", "number"}}), spec, "minItems", "maxItems");
    case FieldType::kTokenIds:
      return Limited(ListOf(TokenIdSchema()), spec, "minItems", "maxItems");
    case FieldType::kTokenBias:
      return {{"type", "object"},
              {"propertyNames", {{"pattern", "^[0-9]+$"}}},
              {"additionalProperties", Limited({{"type", "number"}}, spec, "minimum", "maximum")}};
    case FieldType::kStringMap:
      return {{"type", "object"}, {"additionalProperties", {{"type", "string"}}}};
    case FieldType::kOptions:
      return Reference(spec.schema);
    case FieldType::kObjects:
      return Limited(ListOf(Reference(spec.schema)), spec, "minItems", "maxItems");
    case FieldType::kMessages:
      return Limited(ListOf(Reference("ChatMessage")),
                     {.name = "", .type = spec.type, .range = {.min = 1}, .effect = ""}, "minItems",
                     "maxItems");
    case FieldType::kPrompt:
      return PromptSchema();
    case FieldType::kAny:
      break;
  }
  return {};
}

// A null stands for an absent field, so every optional field may be null.
json::object FieldSchema(const FieldSpec& spec) {
  json::object schema;
  if (spec.use == FieldUse::kRefused) {
    schema["const"] = json::parse(spec.only);
  } else {
    schema = TypeSchema(spec);
  }
  if (!spec.required && !schema.empty()) {
    schema = {{"anyOf", json::array{std::move(schema), json::object{{"type", "null"}}}}};
  }
  std::string description = spec.effect;
  if (*spec.default_value != '\0') {
    description += std::string(" Default: ") + spec.default_value + ".";
  }
  schema["description"] = description;
  return schema;
}

json::object Operation(const char* summary, const char* body, const char* reply, bool streams) {
  const json::object error = {
      {"description", "An error."},
      {"content", {{"application/json", {{"schema", Reference("Error")}}}}}};
  json::object content = {{"application/json", {{"schema", Reference(reply)}}}};
  if (streams) content["text/event-stream"] = {{"schema", {{"type", "string"}}}};
  json::object operation = {
      {"summary", summary},
      {"responses",
       {{"200", {{"description", "The answer."}, {"content", std::move(content)}}},
        {"default", error}}}};
  if (body != nullptr) {
    operation["requestBody"] = {{"required", true},
                                {"content", {{"application/json", {{"schema", Reference(body)}}}}}};
  }
  return operation;
}

json::object TextOperation(const char* summary, const char* media_type) {
  return {
      {"summary", summary},
      {"responses",
       {{"200", {{"description", "The answer."}, {"content", {{media_type, json::object()}}}}}}}};
}

// One of a path that ends with "{id}".
json::object OfId(json::object operation) {
  operation["parameters"] = json::array{
      {{"name", "id"}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}}};
  return operation;
}

json::object Paths() {
  json::object model = OfId(Operation("One model.", nullptr, "Model", false));
  return {
      {"/v1/chat/completions",
       {{"post", Operation("The assistant's next turn.", "ChatCompletionRequest", "ChatCompletion",
                           true)}}},
      {"/v1/completions",
       {{"post", Operation("Continues a text.", "CompletionRequest", "Completion", true)}}},
      {"/v1/models", {{"get", Operation("All models.", nullptr, "ModelList", false)}}},
      {"/v1/models/{id}", {{"get", std::move(model)}}},
      {"/v1/tokenize",
       {{"post", Operation("Text to token ids.", "TokenizeRequest", "Tokens", false)}}},
      {"/v1/detokenize",
       {{"post", Operation("Token ids to text.", "DetokenizeRequest", "Text", false)}}},
      {"/v1/states",
       {{"post", Operation("Registers a tuned state.", "StateRequest", "RegistryChange", false)}}},
      {"/v1/states/{id}",
       {{"delete", OfId(Operation("Removes one.", nullptr, "RegistryChange", false))}}},
      {"/v1/mixtures",
       {{"post", Operation("Registers a mixture of states, or changes its weights.",
                           "MixtureRequest", "RegistryChange", false)}}},
      {"/v1/mixtures/{id}",
       {{"delete", OfId(Operation("Removes one.", nullptr, "RegistryChange", false))}}},
      {"/v1/adapters",
       {{"post", Operation("Registers an adapter.", "AdapterRequest", "RegistryChange", false)}}},
      {"/v1/adapters/{id}",
       {{"delete", OfId(Operation("Removes one.", nullptr, "RegistryChange", false))}}},
      {"/healthz", {{"get", TextOperation("The process is alive.", "application/json")}}},
      {"/readyz", {{"get", TextOperation("A worker is ready; else 503.", "application/json")}}},
      {"/startupz",
       {{"get", TextOperation("The gateway has started; else 503.", "application/json")}}},
      {"/metrics", {{"get", TextOperation("Prometheus metrics.", "text/plain")}}},
      {"/openapi.json", {{"get", TextOperation("This document.", "application/json")}}},
  };
}

json::object MakeDocument() {
  json::object schemas = ReplySchemas();
  schemas["ChatMessage"] = BodySchema(Specs(MessageFields()));
  schemas["StreamOptions"] = BodySchema(Specs(StreamOptionsFields()));
  schemas["StateWeight"] = BodySchema(Specs(StateWeightFields()));
  schemas["AdapterWeight"] = BodySchema(Specs(AdapterWeightFields()));
  schemas["StateRequest"] = BodySchema(Specs(StateFields()));
  schemas["MixtureRequest"] = BodySchema(Specs(MixtureFields()));
  schemas["AdapterRequest"] = BodySchema(Specs(AdapterFields()));
  schemas["EntryDefaults"] = BodySchema(Specs(DefaultsFields()));
  schemas["ChatCompletionRequest"] = BodySchema(Specs(ChatFields()));
  schemas["CompletionRequest"] = BodySchema(Specs(CompletionFields()));
  schemas["TokenizeRequest"] = BodySchema(Specs(TokenizeFields()));
  schemas["DetokenizeRequest"] = BodySchema(Specs(DetokenizeFields()));
  return {
      {"openapi", "3.1.0"},
      {"info",
       {{"title", "skein"}, {"version", "1"}, {"description", "OpenAI-compatible API of skein."}}},
      {"paths", Paths()},
      {"components", {{"schemas", std::move(schemas)}}}};
}

}  // namespace

json::object BodySchema(const std::vector<FieldSpec>& fields) {
  json::object properties;
  json::array required;
  for (const FieldSpec& spec : fields) {
    if (spec.use == FieldUse::kRefused && *spec.only == '\0') continue;
    properties[spec.name] = FieldSchema(spec);
    if (spec.required) required.push_back(json::value(spec.name));
  }
  json::object schema = {
      {"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

const json::object& OpenApiDocument() {
  static const json::object kDocument = MakeDocument();
  return kDocument;
}

}  // namespace skein
