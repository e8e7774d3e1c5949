#include "gateway/endpoints/openapi_document.h"

#include <set>
#include <string>

#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "gtest/gtest.h"

#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/completion_request.h"
#include "gateway/endpoints/conditioning_fields.h"
#include "gateway/endpoints/generation_fields.h"
#include "gateway/endpoints/messages.h"
#include "gateway/endpoints/registry_body.h"
#include "gateway/endpoints/tokenize_body.h"

namespace skein {
namespace {

namespace json = boost::json;

// What a client reads: the document as text, and back.
json::value Document() { return json::parse(json::serialize(OpenApiDocument())); }

TEST(OpenApiDocumentTest, EveryFieldThatIsAcceptedIsInItAndNoOther) {
  struct Case {
    const char* schema;
    std::vector<FieldSpec> fields;
  };
  const json::value document = Document();
  for (const Case& c :
       {Case{"ChatCompletionRequest", Specs(ChatFields())},
        Case{"CompletionRequest", Specs(CompletionFields())},
        Case{"ChatMessage", Specs(MessageFields())},
        Case{"StreamOptions", Specs(StreamOptionsFields())},
        Case{"StateWeight", Specs(StateWeightFields())},
        Case{"AdapterWeight", Specs(AdapterWeightFields())},
        Case{"StateRequest", Specs(StateFields())}, Case{"MixtureRequest", Specs(MixtureFields())},
        Case{"AdapterRequest", Specs(AdapterFields())},
        Case{"EntryDefaults", Specs(DefaultsFields())},
        Case{"TokenizeRequest", Specs(TokenizeFields())},
        Case{"DetokenizeRequest", Specs(DetokenizeFields())}}) {
    SCOPED_TRACE(c.schema);
    const json::value& schema = document.at("components").at("schemas").at(c.schema);
    EXPECT_FALSE(schema.at("additionalProperties").as_bool());
    const json::object& properties = schema.at("properties").as_object();
    size_t accepted = 0;
    for (const FieldSpec& field : c.fields) {
      const bool refused = field.use == FieldUse::kRefused && *field.only == '\0';
      EXPECT_EQ(properties.contains(field.name), !refused) << field.name;
      if (refused) continue;
      ++accepted;
      const json::object& property = properties.at(field.name).as_object();
      EXPECT_NE(property.at("description").as_string().find(field.effect), std::string::npos);
    }
    EXPECT_EQ(properties.size(), accepted);
  }
}

TEST(OpenApiDocumentTest, SchemasSayTypesAndRanges) {
  const json::value document = Document();
  const json::value& chat = document.at("components").at("schemas").at("ChatCompletionRequest");
  const json::value& fields = chat.at("properties");
  EXPECT_EQ(json::serialize(fields.at("temperature").at("anyOf").at(0)),
            R"({"type":"number","minimum":0,"maximum":2})");
  EXPECT_EQ(json::serialize(fields.at("penalty_decay").at("anyOf").at(0)),
            R"({"type":"number","exclusiveMinimum":0,"maximum":1})");
  EXPECT_EQ(json::serialize(fields.at("sampling_order").at("anyOf").at(0)),
            R"({"type":"string","enum":["rwkv","hf"]})");
  EXPECT_EQ(
      json::serialize(fields.at("stop").at("anyOf").at(0)),
      R"({"oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"},"minItems":0,"maxItems":16}]})");
  EXPECT_EQ(json::serialize(fields.at("modalities").at("anyOf").at(0)), R"({"const":["text"]})");
  EXPECT_EQ(json::serialize(fields.at("messages").at("items")),
            R"({"$ref":"#/components/schemas/ChatMessage"})");
  EXPECT_EQ(json::serialize(chat.at("required")), R"(["messages","model"])");
  const json::value& prompt =
      document.at("components").at("schemas").at("CompletionRequest").at("properties").at("prompt");
  EXPECT_EQ(prompt.at("oneOf").as_array().size(), 4u);
  EXPECT_EQ(prompt.at("oneOf").at(3).at("items").at("items").at("type").as_string(), "integer");
}

void CollectReferences(const json::value& value, std::set<std::string>& references) {
  if (value.is_array()) {
    for (const json::value& item : value.get_array()) CollectReferences(item, references);
  }
  if (!value.is_object()) return;
  for (const auto& member : value.get_object()) {
    if (member.key() == "$ref") references.insert(std::string(member.value().as_string()));
    CollectReferences(member.value(), references);
  }
}

TEST(OpenApiDocumentTest, EveryReferenceLeadsToASchema) {
  const json::value document = Document();
  std::set<std::string> references;
  CollectReferences(document, references);
  EXPECT_GE(references.size(), 12u);
  const std::string prefix = "#/components/schemas/";
  for (const std::string& reference : references) {
    ASSERT_EQ(reference.substr(0, prefix.size()), prefix);
    EXPECT_TRUE(document.at("components")
                    .at("schemas")
                    .as_object()
                    .contains(reference.substr(prefix.size())))
        << reference;
  }
}

TEST(OpenApiDocumentTest, ItSaysItsVersionAndPaths) {
  const json::value document = Document();
  EXPECT_EQ(document.at("openapi").as_string(), "3.1.0");
  EXPECT_EQ(document.at("paths").as_object().size(), 17u);
  for (const auto& path : document.at("paths").as_object()) {
    for (const auto& operation : path.value().as_object()) {
      EXPECT_TRUE(operation.value().at("responses").as_object().contains("200")) << path.key();
    }
  }
  const json::value& chat = document.at("paths").at("/v1/chat/completions").at("post");
  EXPECT_TRUE(
      chat.at("responses").at("200").at("content").as_object().contains("text/event-stream"));
}

}  // namespace
}  // namespace skein
