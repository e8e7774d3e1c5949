#include "gateway/rwkv_infer/text.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "boost/json/array.hpp"
#include "boost/json/serialize.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/gateway/rwkv_infer/infer_fixture.h"

namespace skein {
namespace {

namespace json = boost::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kPenalties[] =
    "presence_penalty: 0.2 frequency_penalty: 0.3 penalty_decay: 0.996 prompt_penalty_weight: 0.1 "
    "order: SAMPLING_ORDER_RWKV";

class InferTextTest : public InferTest {
 protected:
  void SetUp() override {
    InferTest::SetUp();
    b_.Stop();
    ASSERT_TRUE(WaitUntil([&] { return pool_.NumServing("fake", {b_.address()}) == 0; }));
  }

  HttpResponse Chat(const std::string& model, const std::string& members = "") {
    return Post("/chat/completions",
                absl::StrCat(R"({"model":")", model,
                             R"(","messages":[{"role":"user","content":"hi"}])", members, "}"));
  }
  v1::GenerateRequest LastCall() const { return a_.calls().back().request; }
  std::string LastSampling() const { return LastCall().sampling().ShortDebugString(); }
};

TEST_F(InferTextTest, AChatIsAnsweredWithIdUsageAndReason) {
  for (const char* path : {"/chat/completions", "/v1/chat/completions"}) {
    const json::value reply =
        Success(Post(path, R"({"model":"fake","messages":[{"role":"User","content":"hi"}]})"));
    EXPECT_EQ(reply.at("object").as_string(), "chat.completion");
    EXPECT_EQ(reply.at("model").as_string(), "fake");
    const json::value& choice = reply.at("choices").at(0);
    EXPECT_EQ(choice.at("message").at("role").as_string(), "assistant");
    EXPECT_EQ(choice.at("message").at("content").as_string(), "Hello, world");
    EXPECT_EQ(choice.at("finish_reason").as_string(), "stop");
    EXPECT_EQ(reply.at("usage").at("completion_tokens").to_number<int>(), 3);
  }
}

TEST_F(InferTextTest, EveryChunkOfAStreamHasAContent) {
  const auto out =
      Start(Method::kPost, "/chat/completions",
            R"({"model":"fake","stream":true,"messages":[{"role":"user","content":"hi"}]})");
  ASSERT_TRUE(out->WaitForAnswer());
  const std::vector<std::string> events = out->events();
  ASSERT_GE(events.size(), 4u);
  EXPECT_EQ(events.back(), "[DONE]");
  std::string text;
  for (size_t i = 0; i + 1 < events.size(); ++i) {
    const json::value chunk = json::parse(events[i]);
    EXPECT_EQ(chunk.at("object").as_string(), "chat.completion.chunk");
    text += std::string(chunk.at("choices").at(0).at("delta").at("content").as_string());
  }
  EXPECT_EQ(text, "Hello, world");
  EXPECT_EQ(json::parse(events[events.size() - 2]).at("choices").at(0).at("finish_reason"), "stop");
}

TEST_F(InferTextTest, CompletionsComeWholeAndStreamed) {
  for (const char* path : {"/completions", "/v1/completions"}) {
    const json::value reply = Success(Post(path, R"({"model":"fake","prompt":"Once"})"));
    EXPECT_EQ(reply.at("object").as_string(), "text_completion");
    EXPECT_EQ(reply.at("choices").at(0).at("text").as_string(), "Hello, world");
  }
  const auto out =
      Start(Method::kPost, "/completions", R"({"model":"fake","prompt":["Once"],"stream":true})");
  ASSERT_TRUE(out->WaitForAnswer());
  std::string text;
  const std::vector<std::string> events = out->events();
  for (size_t i = 0; i + 1 < events.size(); ++i) {
    text += std::string(json::parse(events[i]).at("choices").at(0).at("text").as_string());
  }
  EXPECT_EQ(text, "Hello, world");
  EXPECT_EQ(events.back(), "[DONE]");
  EXPECT_EQ(LastCall().prompt().text(), "Once");
}

TEST_F(InferTextTest, SamplingIsTheRequestsElseWhatHasAlwaysBeenUsed) {
  struct Case {
    const char* members;
    std::string sampling;
  };
  for (const Case& c :
       {Case{"", absl::StrCat("temperature: 1 top_p: 0.3 ", kPenalties)},
        Case{R"(,"temperature":0,"top_p":"0.9")",
             absl::StrCat("temperature: 0 top_p: 0.9 ", kPenalties)},
        Case{R"(,"params":{"temperature":0.7})",
             absl::StrCat("temperature: 0.7 top_p: 0.3 ", kPenalties)},
        Case{R"(,"temperature":0.5,"params":{"temperature":0.7,"presence_penalty":0})",
             "temperature: 0.5 top_p: 0.3 presence_penalty: 0 frequency_penalty: 0.3 "
             "penalty_decay: 0.996 prompt_penalty_weight: 0.1 "
             "order: SAMPLING_ORDER_RWKV"},
        Case{R"(,"presence_penalty":0.5,"frequency_penalty":"0","penalty_decay":1,)"
             R"("params":{"presence_penalty":0.1})",
             "temperature: 1 top_p: 0.3 presence_penalty: 0.5 frequency_penalty: 0 "
             "penalty_decay: 1 prompt_penalty_weight: 0.1 "
             "order: SAMPLING_ORDER_RWKV"}}) {
    const HttpResponse response = Chat("fake", c.members);
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(LastSampling(), c.sampling) << c.members;
    EXPECT_EQ(LastCall().stopping().ShortDebugString(),
              std::string(c.members).find("params") == std::string::npos
                  ? "max_tokens: 1024 clip_max_tokens: true"
                  : "max_tokens: 1000 clip_max_tokens: true");
  }
}

TEST_F(InferTextTest, DefaultsOfTheStateComeBeforeThoseOfTheModel) {
  Success(
      Post("/loadmodel", R"({"model_filename":"m.pth","model_viewname":"m","default_top_p":0.6})"));
  Success(Post("/loadstatemodel", R"({"state_filename":"p","state_viewname":"Persona",)"
                                  R"("default_temperature":0.4})"));
  struct Case {
    const char* model;
    const char* members;
    std::string sampling;
  };
  for (const Case& c :
       {Case{"m", "", "temperature: 1 top_p: 0.6 "},
        Case{"m Persona", "", "temperature: 0.4 top_p: 0.6 "},
        Case{"m Persona", R"(,"params":{"temperature":0.9})", "temperature: 0.4 top_p: 0.3 "},
        Case{"m Persona", R"(,"temperature":0.2)", "temperature: 0.2 top_p: 0.6 "}}) {
    ASSERT_EQ(Chat(c.model, c.members).status, 200);
    EXPECT_EQ(LastSampling(), c.sampling + kPenalties) << c.model << c.members;
  }
  EXPECT_EQ(LastCall().conditioning().ShortDebugString(), R"(entry: "Persona")");
}

TEST_F(InferTextTest, GatingWeightsCountForTheirRequestAlone) {
  Success(Post("/mrss_loadstatemodel",
               R"({"state_viewname":"Mix","state_filenames":["a","b"],)"
               R"("contain_originalstate":true,"default_temperature":0.8})"));
  ASSERT_EQ(Chat("fake Mix").status, 200);
  EXPECT_EQ(LastCall().conditioning().ShortDebugString(), R"(entry: "Mix")");
  const HttpResponse weighed = Chat("fake Mix", R"(,"mrss_gatingweight":["0.25","0.75"])");
  ASSERT_EQ(weighed.status, 200) << weighed.body;
  EXPECT_EQ(json::parse(weighed.body).at("model").as_string(), "fake Mix");
  EXPECT_EQ(LastCall().conditioning().mix().ShortDebugString(),
            R"(states { name: "Mix/1 a" weight: 0.25 } states { name: "Mix/2 b" weight: 0.75 } )"
            "states { }");
  EXPECT_EQ(LastCall().sampling().temperature(), 0.8f);
  EXPECT_EQ(Chat("fake Mix", R"(,"mrss_gatingweight":[0,0,0])").status, 400);
  ASSERT_EQ(Chat("fake", R"(,"mrss_gatingweight":[1])").status, 200);
  EXPECT_FALSE(LastCall().has_conditioning());
}

TEST_F(InferTextTest, AnUnknownModelIs404WithItsText) {
  for (const char* model : {"gpt", "fake Nobody"}) {
    const HttpResponse response = Chat(model);
    EXPECT_EQ(response.status, 404) << response.body;
    const json::value body = json::parse(response.body);
    EXPECT_EQ(body.at("error").at("code").as_string(), "model_not_found");
    EXPECT_EQ(body.at("detail"), body.at("error").at("message"));
  }
}

TEST_F(InferTextTest, AnErrorWithinAStreamEndsItWithoutDone) {
  a_.OnGenerate([](const v1::GenerateRequest&) {
    FakeGeneration script = SayPieces({"Hel", "lo"});
    script.steps.pop_back();
    script.status = absl::InternalError("gone");
    return script;
  });
  const auto out =
      Start(Method::kPost, "/chat/completions",
            R"({"model":"fake","stream":true,"messages":[{"role":"user","content":"hi"}]})");
  ASSERT_TRUE(out->WaitForAnswer());
  const std::vector<std::string> events = out->events();
  ASSERT_GE(events.size(), 2u);
  EXPECT_THAT(events.back(), HasSubstr("\"error\""));
}

}  // namespace
}  // namespace skein
