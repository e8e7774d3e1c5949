#include "gateway/rwkv_infer/text_bodies.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "boost/json/parse.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "gateway/endpoints/errors.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::StatusOr<InferText> Chat(const std::string& members) {
  return ReadInferChat(
      boost::json::parse(
          absl::StrCat(R"({"model":"m","messages":[{"role":"user","content":"hi"}])", members, "}"))
          .as_object(),
      16);
}

absl::StatusOr<InferText> Completion(const std::string& members) {
  return ReadInferCompletion(
      boost::json::parse(absl::StrCat(R"({"model":"m")", members, "}")).as_object(), 16);
}

TEST(TextBodiesTest, RolesAreOfAnyCaseAndPartsWithoutTextAreDropped) {
  const auto chat = ReadInferChat(boost::json::parse(R"({"model":"m","messages":[
          {"role":"System","content":"be brief","name":"x"},
          {"role":"user","content":[{"type":"text","text":"a"},
              {"type":"image_url","image_url":{"url":"u"}},{"type":"text","text":"b","x":1}]},
          {"role":"Assistant","content":[{"type":"image_url"}]}]})")
                                      .as_object(),
                                  16);
  ASSERT_TRUE(chat.ok()) << chat.status();
  EXPECT_EQ(chat->request.prompts[0].chat().ShortDebugString(),
            R"(turns { role: "system" content: "be brief" } turns { role: "user" content: "ab" } )"
            R"(turns { role: "assistant" })");
}

TEST(TextBodiesTest, NumbersMayBeStringsAndFieldsWithoutEffectAreIgnored) {
  const auto chat =
      Chat(R"(,"temperature":"0.5","top_p":"0.8","max_tokens":"50","presence_penalty":"0.1",)"
           R"("seed":"7","n":2.0,"stream":"True","state":"old","states":5,"names":{"a":1},)"
           R"("delete_ragprompt":true,"tools":[1],"response_format":{"type":"json_object"},)"
           R"("input_logits_record":false,"best_of":9,"adapter":3)");
  ASSERT_TRUE(chat.ok()) << chat.status();
  const v1::GenerateRequest& generate = chat->request.generate;
  EXPECT_EQ(generate.sampling().ShortDebugString(),
            "temperature: 0.5 top_p: 0.8 presence_penalty: 0.1 seed: 7");
  EXPECT_EQ(generate.stopping().ShortDebugString(), "max_tokens: 50");
  EXPECT_EQ(generate.n(), 2u);
  EXPECT_TRUE(chat->request.stream);
  EXPECT_FALSE(generate.has_conditioning());
}

TEST(TextBodiesTest, LengthsHaveDefaultsThatYieldToTheModel) {
  struct Case {
    const char* members;
    uint32_t max_tokens;
    bool clips;
  };
  for (const Case& c : {Case{"", 1024, true}, Case{R"(,"params":{})", 1000, true},
                        Case{R"(,"params":{"max_tokens":"30"})", 30, false},
                        Case{R"(,"max_tokens":9000,"params":{"max_tokens":30})", 9000, false},
                        Case{R"(,"max_completion_tokens":5)", 5, false}}) {
    const auto chat = Chat(c.members);
    ASSERT_TRUE(chat.ok()) << chat.status();
    EXPECT_EQ(chat->request.generate.stopping().max_tokens(), c.max_tokens) << c.members;
    EXPECT_EQ(chat->request.generate.stopping().clip_max_tokens(), c.clips) << c.members;
  }
  const auto completion = Completion(R"(,"prompt":"a")");
  ASSERT_TRUE(completion.ok()) << completion.status();
  EXPECT_EQ(completion->request.generate.stopping().max_tokens(), 1024u);
}

TEST(TextBodiesTest, StopIsAStringOrAListOrNull) {
  for (const auto* stop : {R"("\n\n")", R"(["\n\n"])"}) {
    const auto chat = Chat(absl::StrCat(R"(,"stop":)", stop));
    ASSERT_TRUE(chat.ok()) << chat.status();
    EXPECT_THAT(chat->request.generate.stopping().stop().text(), ElementsAre("\n\n"));
  }
  const auto chat = Chat(R"(,"stop":null)");
  ASSERT_TRUE(chat.ok()) << chat.status();
  EXPECT_FALSE(chat->request.generate.stopping().has_stop());
}

TEST(TextBodiesTest, ParamsAndWeightsAreKept) {
  const auto chat =
      Chat(R"(,"params":{"temperature":"0.7","half_life":"x","stop":["a"],"user_name":"U"},)"
           R"("mrss_gatingweight":["0.2",0.8])");
  ASSERT_TRUE(chat.ok()) << chat.status();
  ASSERT_TRUE(chat->extras.params.has_value());
  EXPECT_EQ(chat->extras.params->temperature, 0.7f);
  EXPECT_FALSE(chat->extras.params->top_p.has_value());
  ASSERT_TRUE(chat->extras.weights.has_value());
  EXPECT_THAT(*chat->extras.weights, ElementsAre(0.2f, 0.8f));
}

TEST(TextBodiesTest, CompletionsTakeTextsAndEcho) {
  const auto completion = Completion(R"(,"prompt":["a","b"],"echo":"true","suffix":"s","n":2)");
  ASSERT_TRUE(completion.ok()) << completion.status();
  EXPECT_EQ(completion->request.prompts.size(), 2u);
  EXPECT_TRUE(completion->request.generate.echo());
}

TEST(TextBodiesTest, ErrorsNameTheField) {
  struct Case {
    absl::StatusOr<InferText> text;
    const char* param;
    const char* message;
  };
  for (const Case& c :
       {Case{Chat(R"(,"temperature":"warm")"), "temperature", "expected a number"},
        Case{Chat(R"(,"temperature":-1)"), "temperature", "0 to 2"},
        Case{Chat(R"(,"params":{"top_p":"x"})"), "params.top_p", "expected a number"},
        Case{Chat(R"(,"params":3)"), "params", "expected an object"},
        Case{Chat(R"(,"mrss_gatingweight":"1")"), "mrss_gatingweight", "list of numbers"},
        Case{Chat(R"(,"stop":[1])"), "stop[0]", "expected a string"},
        Case{Completion(""), "prompt", "missing"},
        Case{Completion(R"(,"prompt":"")"), "prompt", "empty"},
        Case{Completion(R"(,"prompt":[""])"), "prompt", "empty"},
        Case{Completion(R"(,"prompt":[])"), "prompt", "an empty list"},
        Case{Completion(R"(,"prompt":["a",{}])"), "prompt[1]", "expected a string"}}) {
    EXPECT_EQ(ParamOf(c.text.status()), c.param) << c.text.status();
    EXPECT_EQ(HttpStatusOf(c.text.status()), 400);
    EXPECT_THAT(std::string(c.text.status().message()), HasSubstr(c.message));
  }
}

}  // namespace
}  // namespace skein
