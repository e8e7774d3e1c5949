// Walks the field tables: every row of them does what its `use` says.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/json/parse.hpp"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/completion_request.h"
#include "gateway/endpoints/errors.h"
#include "gateway/endpoints/generation_fields.h"

namespace skein {
namespace {

namespace json = boost::json;

struct FieldCase {
  const char* valid;        // JSON; empty for a field that has no accepted value
  const char* arrives;      // what it adds to the GenerateRequest, as text format
  const char* invalid;      // JSON that is refused
  const char* with = "{}";  // other fields that the valid value needs
  std::function<bool(const TextRequest&)> check =
      nullptr;  // for what is not in the GenerateRequest
};

using Cases = std::map<std::string, FieldCase>;

Cases SharedCases() {
  return {
      {"model", {R"("other")", R"(model: "other")", R"("")"}},
      {"n", {"3", "n: 3", "17"}},
      {"stream", {"true", "", "1", "{}", [](const TextRequest& r) { return r.stream; }}},
      {"stream_options",
       {R"({"include_usage":true})", "", R"({"include_obfuscation":true})", R"({"stream":true})",
        [](const TextRequest& r) { return r.include_usage; }}},
      {"stop", {R"(["a","b"])", R"(stopping { stop { text: "a" text: "b" } })", R"(["a",1])"}},
      {"stop_token_ids", {"[7,8]", "stopping { stop_tokens: 7 stop_tokens: 8 }", "[-1]"}},
      {"min_tokens", {"4", "stopping { min_tokens: 4 }", "-4"}},
      {"ignore_eos", {"true", "stopping { ignore_eos: true }", R"("yes")"}},
      {"include_stop_str_in_output", {"true", "stopping { include_stop: true }", "0"}},
      {"prompt_cache_key",
       {R"("k")", "", "5", "{}", [](const TextRequest& r) { return r.prompt_cache_key == "k"; }}},
      {"user",
       {R"("someone")", "", "5", "{}", [](const TextRequest& r) { return r.user == "someone"; }}},
      {"state", {R"("pirate")", R"(conditioning { entry: "pirate" })", "5"}},
      {"states",
       {R"([{"name":"pirate","weight":0.75},{"name":null,"weight":0.25}])",
        R"(conditioning { mix { states { name: "pirate" weight: 0.75 } states { weight: 0.25 } } })",
        R"([{"name":"pirate","wait":1}])"}},
      {"states_keep_sum",
       {"true", R"(conditioning { mix { states { name: "a" weight: 1 } keep_sum: true } })",
        R"("yes")", R"({"states":[{"name":"a"}]})"}},
      {"adapter", {R"("words")", R"(conditioning { adapters { name: "words" } })", "[]"}},
      {"adapters",
       {R"([{"name":"words"},{"name":"json","scale":0.5}])",
        R"(conditioning { adapters { name: "words" } adapters { name: "json" scale: 0.5 } })",
        R"([{"scale":1}])"}},
      {"temperature", {"0.5", "sampling { temperature: 0.5 }", "2.5"}},
      {"top_p", {"0.25", "sampling { top_p: 0.25 }", "1.5"}},
      {"top_k", {"40", "sampling { top_k: 40 }", "4.5"}},
      {"min_p", {"0.125", "sampling { min_p: 0.125 }", "-0.1"}},
      {"presence_penalty", {"-2", "sampling { presence_penalty: -2 }", "2.01"}},
      {"frequency_penalty", {"1.5", "sampling { frequency_penalty: 1.5 }", "-3"}},
      {"penalty_decay", {"0.75", "sampling { penalty_decay: 0.75 }", "0"}},
      {"half_life", {"1", "sampling { penalty_decay: 0.5 }", "0"}},
      {"repetition_penalty", {"1.25", "sampling { repetition_penalty: 1.25 }", "1e39"}},
      {"repetition_scope",
       {R"("output")", "sampling { repetition_output_only: true }", R"("prompt")"}},
      {"prompt_penalty_weight", {"0.5", "sampling { prompt_penalty_weight: 0.5 }", "-1"}},
      {"penalty_exempt_tokens",
       {"[1,2]", "sampling { penalty_exempt_tokens: 1 penalty_exempt_tokens: 2 }", "[1.5]"}},
      {"logit_bias",
       {R"({"50":-100,"7":2.5})",
        "sampling { logit_bias { key: 50 value: -100 } logit_bias { key: 7 value: 2.5 } }",
        R"({"50":-101})"}},
      {"banned_tokens", {"[9]", "sampling { banned_tokens: 9 }", "[4294967296]"}},
      {"allowed_tokens", {"[5,6]", "sampling { allowed_tokens { ids: 5 ids: 6 } }", "[]"}},
      {"sampling_order", {R"("hf")", "sampling { order: SAMPLING_ORDER_HF }", R"("HF")"}},
      {"seed", {"-1", "sampling { seed: 18446744073709551615 }", "1.0"}},
  };
}

Cases ChatCases() {
  Cases cases = SharedCases();
  cases.insert({
      {"messages",
       {R"([{"role":"developer","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])",
        "", R"([])", "{}",
        [](const TextRequest& r) {
          const v1::Chat& chat = r.prompts[0].chat();
          return chat.turns_size() == 2 && chat.turns(0).role() == "system" &&
                 chat.turns(0).content() == "Be brief." && chat.turns(1).role() == "user" &&
                 chat.turns(1).content() == "ab";
        }}},
      {"max_completion_tokens", {"9", "stopping { max_tokens: 9 }", "0"}},
      {"max_tokens", {"12", "stopping { max_tokens: 12 }", "2147483648"}},
      {"logprobs", {"true", "logprobs {}", "2"}},
      {"top_logprobs", {"20", "logprobs { top: 20 }", "21", R"({"logprobs":true})"}},
      {"logprobs_mode",
       {R"("processed")", "logprobs { processed: true }", R"("both")", R"({"logprobs":true})"}},
      {"store", {"true", "", R"("true")"}},
      {"metadata", {R"({"a":"b"})", "", R"({"a":1})"}},
      {"service_tier", {R"("auto")", "", "[]"}},
      {"safety_identifier", {R"("x")", "", "{}"}},
      {"parallel_tool_calls", {"false", "", "0"}},
      {"tools", {"", "", R"([{"type":"function","function":{"name":"f"}}])"}},
      {"tool_choice", {R"("none")", "", R"("auto")"}},
      {"functions", {"", "", R"([{"name":"f"}])"}},
      {"function_call", {R"("none")", "", R"({"name":"f"})"}},
      {"response_format", {R"({"type":"text"})", "", R"({"type":"json_object"})"}},
      {"modalities", {R"(["text"])", "", R"(["text","audio"])"}},
      {"audio", {"", "", R"({"voice":"alloy","format":"wav"})"}},
      {"prediction", {"", "", R"({"type":"content","content":"x"})"}},
      {"reasoning_effort", {"", "", R"("low")"}},
      {"verbosity", {"", "", R"("medium")"}},
      {"web_search_options", {"", "", "{}"}},
      {"prompt_cache_retention", {"", "", R"("24h")"}},
      {"moderation", {"", "", R"({"model":"m"})"}},
  });
  return cases;
}

Cases CompletionCases() {
  Cases cases = SharedCases();
  cases.insert({
      {"prompt",
       {"[[1,2],[3]]", "", "[1,\"a\"]", "{}",
        [](const TextRequest& r) {
          return r.prompts.size() == 2 && r.prompts[0].tokens().ids_size() == 2 &&
                 r.prompts[1].tokens().ids(0) == 3;
        }}},
      {"max_tokens", {"12", "stopping { max_tokens: 12 }", "0"}},
      {"echo", {"true", "echo: true", R"("no")"}},
      {"logprobs", {"0", "logprobs {}", "6"}},
      {"logprobs_mode",
       {R"("processed")", "logprobs { top: 2 processed: true }", R"("both")", R"({"logprobs":2})"}},
      {"best_of", {"2", "n: 2", "3", R"({"n":2})"}},
      {"suffix", {"", "", R"(" end")"}},
  });
  return cases;
}

struct Endpoint {
  const char* name;
  const FieldTable<TextRequest>& table;
  absl::StatusOr<TextRequest> (*read)(const json::object& body, uint32_t max_choices);
  const char* body;      // with the required fields alone
  const char* generate;  // what that becomes
  Cases cases;
};

std::vector<Endpoint> Endpoints() {
  return {
      {"chat", ChatFields(), ReadChatRequest,
       R"({"model":"m","messages":[{"role":"user","content":"hi"}]})", R"(model: "m")",
       ChatCases()},
      {"completions", CompletionFields(), ReadCompletionRequest, R"({"model":"m","prompt":"hi"})",
       R"(model: "m" stopping { max_tokens: 16 })", CompletionCases()}};
}

absl::StatusOr<TextRequest> ReadWith(const Endpoint& endpoint, const std::string& name,
                                     const char* value, const char* with = "{}") {
  json::object body = json::parse(endpoint.body).get_object();
  const json::value more = json::parse(with);
  for (const auto& member : more.get_object()) body[member.key()] = member.value();
  body[name] = json::parse(value);
  return endpoint.read(body, 16);
}

v1::GenerateRequest Expected(const Endpoint& endpoint, const std::string& more) {
  v1::GenerateRequest expected;
  EXPECT_TRUE(google::protobuf::TextFormat::MergeFromString(endpoint.generate, &expected));
  // Merged as a message, because a text may not set a field twice.
  v1::GenerateRequest added;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(more, &added)) << more;
  expected.MergeFrom(added);
  return expected;
}

TEST(RequestFieldsTest, EveryRowHasACaseAndEveryCaseARow) {
  for (const Endpoint& endpoint : Endpoints()) {
    std::map<std::string, int> rows;
    for (const auto& field : endpoint.table) {
      ++rows[field.spec.name];
      EXPECT_TRUE(endpoint.cases.count(field.spec.name)) << endpoint.name << " " << field.spec.name;
      EXPECT_EQ(field.spec.use == FieldUse::kHonoured, field.set != nullptr) << field.spec.name;
      EXPECT_NE(std::string(field.spec.effect), "");
    }
    for (const auto& row : rows) EXPECT_EQ(row.second, 1) << row.first;
    EXPECT_EQ(rows.size(), endpoint.cases.size()) << endpoint.name;
  }
}

TEST(RequestFieldsTest, AValidValueArrives) {
  for (const Endpoint& endpoint : Endpoints()) {
    for (const auto& [name, field] : endpoint.cases) {
      if (*field.valid == '\0') continue;
      SCOPED_TRACE(absl::StrCat(endpoint.name, " ", name));
      const auto request = ReadWith(endpoint, name, field.valid, field.with);
      ASSERT_TRUE(request.ok()) << request.status();
      const v1::GenerateRequest expected = Expected(endpoint, field.arrives);
      EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(request->generate, expected))
          << request->generate.ShortDebugString() << " instead of " << expected.ShortDebugString();
      EXPECT_TRUE(field.check == nullptr || field.check(*request));
    }
  }
}

TEST(RequestFieldsTest, OnlyHonouredFieldsChangeTheRequest) {
  for (const Endpoint& endpoint : Endpoints()) {
    for (const auto& row : endpoint.table) {
      const FieldCase& field = endpoint.cases.at(row.spec.name);
      const bool changes = *field.arrives != '\0' || field.check != nullptr;
      EXPECT_EQ(changes, row.spec.use == FieldUse::kHonoured)
          << endpoint.name << " " << row.spec.name;
    }
  }
}

TEST(RequestFieldsTest, AnInvalidValueIsRefusedByName) {
  for (const Endpoint& endpoint : Endpoints()) {
    for (const auto& [name, field] : endpoint.cases) {
      SCOPED_TRACE(absl::StrCat(endpoint.name, " ", name));
      const auto request = ReadWith(endpoint, name, field.invalid, field.with);
      ASSERT_FALSE(request.ok());
      EXPECT_EQ(request.status().code(), absl::StatusCode::kInvalidArgument);
      const std::string param = ParamOf(request.status());
      EXPECT_TRUE(param == name || absl::StartsWith(param, absl::StrCat(name, "[")) ||
                  absl::StartsWith(param, absl::StrCat(name, ".")))
          << param;
      EXPECT_TRUE(absl::StartsWith(request.status().message(), absl::StrCat(param, ": ")))
          << request.status();
    }
  }
}

TEST(RequestFieldsTest, ANullIsAnAbsentField) {
  for (const Endpoint& endpoint : Endpoints()) {
    for (const auto& row : endpoint.table) {
      SCOPED_TRACE(absl::StrCat(endpoint.name, " ", row.spec.name));
      const auto request = ReadWith(endpoint, row.spec.name, "null");
      if (row.spec.required) {
        EXPECT_EQ(ParamOf(request.status()), row.spec.name);
        continue;
      }
      ASSERT_TRUE(request.ok()) << request.status();
      EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(request->generate,
                                                                     Expected(endpoint, "")));
    }
  }
}

TEST(RequestFieldsTest, OptionsOfAStreamAreATableToo) {
  const Endpoint chat = Endpoints()[0];
  for (const auto& row : StreamOptionsFields()) {
    const std::string wrong = absl::StrCat(R"({")", row.spec.name, R"(":"text"})");
    const auto request = ReadWith(chat, "stream_options", wrong.c_str(), R"({"stream":true})");
    EXPECT_EQ(ParamOf(request.status()), absl::StrCat("stream_options.", row.spec.name));
  }
  EXPECT_TRUE(
      ReadWith(chat, "stream_options", R"({"include_obfuscation":false})", R"({"stream":true})")
          .ok());
}

TEST(RequestFieldsTest, ThePromptsOfACompletionAreTextOrTokens) {
  const Endpoint completions = Endpoints()[1];
  const auto text = ReadWith(completions, "prompt", R"("one")");
  ASSERT_EQ(text->prompts.size(), 1u);
  EXPECT_EQ(text->prompts[0].text(), "one");
  const auto texts = ReadWith(completions, "prompt", R"(["one",""])");
  ASSERT_EQ(texts->prompts.size(), 2u);
  EXPECT_EQ(texts->prompts[1].text(), "");
  EXPECT_TRUE(texts->prompts[1].has_text());
  const auto tokens = ReadWith(completions, "prompt", "[4,5,4294967295]");
  ASSERT_EQ(tokens->prompts.size(), 1u);
  EXPECT_EQ(tokens->prompts[0].tokens().ids(2), 4294967295u);
}

TEST(RequestFieldsTest, EchoAsksForTheLogprobsOfThePromptToo) {
  const auto request = ReadWith(Endpoints()[1], "echo", "true", R"({"logprobs":3})");
  EXPECT_TRUE(request->generate.logprobs().prompt());
  EXPECT_EQ(request->generate.logprobs().top(), 3u);
}

TEST(RequestFieldsTest, EqualLimitsOfTokensAreNoContradiction) {
  const auto request =
      ReadWith(Endpoints()[0], "max_tokens", "7", R"({"max_completion_tokens":7})");
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->generate.stopping().max_tokens(), 7u);
}

TEST(RequestFieldsTest, SeedsKeepTheir64Bits) {
  for (const auto& [text, seed] :
       std::map<std::string, uint64_t>{{"0", 0},
                                       {"18446744073709551615", ~0ull},
                                       {"9223372036854775807", 0x7FFFFFFFFFFFFFFF},
                                       {"-9223372036854775808", 0x8000000000000000}}) {
    EXPECT_EQ(ReadWith(Endpoints()[0], "seed", text.c_str())->generate.sampling().seed(), seed)
        << text;
  }
}

TEST(RequestFieldsTest, AHalfLifeBecomesADecay) {
  const auto request = ReadWith(Endpoints()[0], "half_life", "400");
  EXPECT_NEAR(request->generate.sampling().penalty_decay(), 0.998269, 1e-6);
}

}  // namespace
}  // namespace skein
