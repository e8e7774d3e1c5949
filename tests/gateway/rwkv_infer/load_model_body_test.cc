#include "gateway/rwkv_infer/load_model_body.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "boost/json/parse.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "gateway/endpoints/errors.h"
#include "gateway/rwkv_infer/escapes.h"

namespace skein {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<LoadModelBody> Read(const std::string& members) {
  return ReadLoadModel(
      boost::json::parse(absl::StrCat(R"({"model_filename":"models/m.pth")", members, "}"))
          .as_object());
}

TEST(LoadModelBodyTest, AFileAloneHasTheDefaultsOfThatServer) {
  const absl::StatusOr<LoadModelBody> body = Read("");
  ASSERT_TRUE(body.ok()) << body.status();
  EXPECT_EQ(body->request.ShortDebugString(),
            R"(name: "default model" path: "models/m.pth" stop: "\n\n" )"
            R"(defaults { temperature: 1 top_p: 0.3 })");
  EXPECT_TRUE(body->warnings.empty());
}

TEST(LoadModelBodyTest, NumbersMayBeStringsAndOtherFieldsAreIgnored) {
  const absl::StatusOr<LoadModelBody> body =
      Read(R"(,"model_viewname":"RWKV x070 7B","model_strategy":"nf4","template":"mistralsmall3",)"
           R"("endtoken":"\\n\\n","default_temperature":"0.5","default_top_p":0.25,)"
           R"("adapter_filename":"adapters/a.pth","adapter_mode":"lora","adapter_scaling":"4.0",)"
           R"("rope_theta":"500000","rms_norm_eps":0.5,"unknown":1)");
  ASSERT_TRUE(body.ok()) << body.status();
  EXPECT_EQ(body->request.ShortDebugString(),
            R"(name: "RWKV x070 7B" path: "models/m.pth" weight_format: "int4" )"
            R"(chat_format: "mistral" stop: "\n\n" defaults { temperature: 0.5 top_p: 0.25 } )"
            R"(merged_adapter { name: "a" path: "adapters/a.pth" scaling: 4 } )"
            R"(rope_theta: 500000 rms_norm_eps: 0.5)");
}

TEST(LoadModelBodyTest, StrategiesAreAliases) {
  for (const auto& [theirs, ours] : std::vector<std::pair<std::string, std::string>>{
           {"", ""},
           {"None", ""},
           {"quant", ""},
           {"bf16", "bf16"},
           {"fp16", "fp16"},
           {"int8", "int8"},
           {"bf16i8", "int8"},
           {"fp16i8", "int8"},
           {"fp8", "fp8"},
           {"fp6", "fp6"},
           {"fp5", "fp5"},
           {"fp5c", "fp5"},
           {"nf4", "int4"},
           {"attn_int8_ffn_int4", "attn=int8,ffn=int4"}}) {
    const auto body = Read(absl::StrCat(R"(,"model_strategy":")", theirs, "\""));
    ASSERT_TRUE(body.ok()) << body.status();
    EXPECT_EQ(body->request.weight_format(), ours) << theirs;
  }
}

TEST(LoadModelBodyTest, TheEndTokenIsThatOfTheTemplateUnlessItIsGiven) {
  struct Case {
    const char* path;
    const char* members;
    std::vector<std::string> stop;
  };
  for (const Case& c :
       {Case{"m.pth", "", {"\n\n"}}, Case{"folder", R"(,"template":"world")", {"\n\n"}},
        Case{"m.pth", R"(,"template":"qwen")", {}}, Case{"folder", "", {}},
        Case{"m.pth", R"(,"endtoken":"")", {"\n\n"}},
        Case{"m.pth", R"(,"endtoken":"。\\u3002\\x17")", {"。。\x17"}}}) {
    const boost::json::object object =
        boost::json::parse(absl::StrCat(R"({"model_filename":")", c.path, "\"", c.members, "}"))
            .as_object();
    const auto body = ReadLoadModel(object);
    ASSERT_TRUE(body.ok()) << body.status();
    EXPECT_EQ(std::vector<std::string>(body->request.stop().begin(), body->request.stop().end()),
              c.stop)
        << c.members;
  }
}

TEST(LoadModelBodyTest, AnAdapterOfNoModeIsLeftOutWithAWarning) {
  const auto body = Read(R"(,"adapter_filename":"a.pth","adapter_mode":"LoRA")");
  ASSERT_TRUE(body.ok()) << body.status();
  EXPECT_FALSE(body->request.has_merged_adapter());
  ASSERT_EQ(body->warnings.size(), 1u);
  EXPECT_THAT(body->warnings[0], HasSubstr("expected lora, bone or hybrid"));
}

TEST(LoadModelBodyTest, ErrorsNameTheField) {
  struct Case {
    const char* body;
    const char* param;
    const char* message;
  };
  for (const Case& c :
       {Case{"{}", "model_filename", "missing"},
        Case{R"({"model_filename":1})", "model_filename", "expected a string"},
        Case{R"({"model_filename":"m","model_strategy":"int3"})", "model_strategy",
             "expected one of None, quant, bf16"},
        Case{R"({"model_filename":"m","template":"pile"})", "template", "expected one of world"},
        Case{R"({"model_filename":"m","default_top_p":"high"})", "default_top_p",
             "found \"high\", expected a number"},
        Case{R"({"model_filename":"m","default_temperature":"nan"})", "default_temperature",
             "expected a number"},
        Case{R"({"model_filename":"m","rope_theta":"0"})", "rope_theta", "above 0"}}) {
    const auto body = ReadLoadModel(boost::json::parse(c.body).as_object());
    EXPECT_EQ(ParamOf(body.status()), c.param) << c.body;
    EXPECT_EQ(HttpStatusOf(body.status()), 400);
    EXPECT_THAT(std::string(body.status().message()), HasSubstr(c.message));
  }
}

TEST(LoadModelBodyTest, WhatWorkersSayIsToldInTheWordsOfTheBody) {
  struct Case {
    const char* worker;
    const char* told;
    const char* param;
  };
  for (const Case& c :
       {Case{"path: \"m\": no such file", "model_filename: \"m\": no such file", "model_filename"},
        Case{"merged_adapter.path: \"a\": no", "adapter_filename: \"a\": no", "adapter_filename"},
        Case{"weight_format: fp6, expected bf16", "model_strategy: fp6, expected bf16",
             "model_strategy"},
        Case{"paths are all wrong", "paths are all wrong", ""}}) {
    const absl::Status told = InWordsOfLoadModel(absl::NotFoundError(c.worker));
    EXPECT_EQ(told.message(), c.told);
    EXPECT_EQ(ParamOf(told), c.param);
    EXPECT_TRUE(absl::IsNotFound(told));
  }
  const absl::Status told =
      InWordsOfLoadModel(absl::UnimplementedError("weight_format: \"fp6\", expected bf16"));
  EXPECT_EQ(HttpStatusOf(told), 400) << told;
  EXPECT_EQ(ParamOf(told), "model_strategy");
}

TEST(EscapesTest, AreDecodedAndNothingElseIs) {
  for (const auto& [text, decoded] : std::vector<std::pair<std::string, std::string>>{
           {R"(\n\n)", "\n\n"},
           {R"(\r\t\\n\'\")", "\r\t\\n'\""},
           {R"(\x17)", "\x17"},
           {R"(\xe9)", "é"},
           {R"(\u3002)", "。"},
           {R"(\U0001F600)", "😀"},
           {"。 é", "。 é"},
           {R"(\q \x1 \u30 \uD800 \U00110000 end\)", R"(\q \x1 \u30 \uD800 \U00110000 end\)"},
           {"", ""}}) {
    EXPECT_EQ(DecodeEscapes(text), decoded) << text;
  }
  EXPECT_EQ(DecodeEscapes(R"(\0)"), std::string(1, '\0'));
}

}  // namespace
}  // namespace skein
