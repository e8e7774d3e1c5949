#include "common/text/model_text.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/common/text/text_testing.h"

namespace skein {
namespace {

namespace json = boost::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kVocabularyFile = "/rwkv_vocab_v20230424.txt";

void WriteJson(const std::string& path, const json::value& value) {
  WriteFile(path, json::serialize(value));
}

ModelText Load(const std::string& path, const std::string& tokenizer = "",
               const std::string& format = "") {
  auto model = LoadModelText(path, tokenizer, format);
  EXPECT_TRUE(model.ok()) << model.status();
  return model.ok() ? *std::move(model) : ModelText();
}

std::string Name(const ModelText& model) {
  return model.chat == nullptr ? "none" : std::string(model.chat->name);
}

TEST(ModelTextTest, AnEmptyFolderServesTokensOnly) {
  const ModelText model = Load(MakeFolder("empty"));
  EXPECT_EQ(model.tokenizer, nullptr);
  EXPECT_EQ(model.chat, nullptr);
  EXPECT_TRUE(model.end_tokens.empty());
}

TEST(ModelTextTest, AWorldVocabularyBringsItsFormatAndItsEnd) {
  const std::string folder = MakeFolder("world");
  WriteFile(folder + kVocabularyFile, WorldVocabulary({"\n\n"}));
  for (const std::string& path : {folder, folder + "/model.pth"}) {
    const ModelText model = Load(path);
    ASSERT_NE(model.tokenizer, nullptr);
    EXPECT_EQ(Name(model), "world");
    EXPECT_THAT(model.end_tokens, ElementsAre(0));
    EXPECT_THAT(model.EncodePrompt("a"), ElementsAre('a' + 1));
  }
  EXPECT_EQ(Name(Load(folder, "", "chatml")), "chatml");
}

TEST(ModelTextTest, EndTokensAreTheUnionOfAllFiles) {
  const std::string folder = MakeFolder("ends");
  auto file = SmallTokenizerJson({});
  file["added_tokens"].as_array().push_back(
      {{"id", 300}, {"content", "<|im_end|>"}, {"special", true}});
  WriteJson(folder + "/tokenizer.json", file);
  WriteJson(folder + "/generation_config.json", {{"eos_token_id", {7, 256}}});
  WriteJson(folder + "/config.json", {{"eos_token_id", 5}});
  WriteJson(folder + "/tokenizer_config.json", {{"eos_token", {{"content", "<|end|>"}}},
                                                {"bos_token", "a"},
                                                {"chat_template", "<|im_start|>"}});
  const ModelText model = Load(folder);
  EXPECT_EQ(Name(model), "chatml");
  EXPECT_THAT(model.end_tokens, ElementsAre(5, 7, 256, 300));
  EXPECT_EQ(model.chat_options.eos_token, "<|end|>");
  EXPECT_EQ(model.chat_options.bos_token, "a");
  EXPECT_EQ(model.bos_token, 'a');
  EXPECT_FALSE(model.add_bos);
}

TEST(ModelTextTest, AddBosTokenPutsItInFrontOnce) {
  const std::string folder = MakeFolder("bos");
  WriteJson(folder + "/tokenizer.json", SmallTokenizerJson({}));
  WriteJson(folder + "/tokenizer_config.json", {{"bos_token", "<|end|>"}, {"add_bos_token", true}});
  const ModelText model = Load(folder);
  EXPECT_THAT(model.EncodePrompt("a"), ElementsAre(256, 'a'));
  EXPECT_THAT(model.EncodePrompt("<|end|>a"), ElementsAre(256, 'a'));
  EXPECT_THAT(model.EncodePrompt(""), ElementsAre(256));
}

TEST(ModelTextTest, TheTemplateIsFoundInEachOfItsPlaces) {
  const std::string folder = MakeFolder("templates");
  WriteJson(folder + "/tokenizer.json", SmallTokenizerJson({}));
  EXPECT_EQ(Name(Load(folder)), "none");
  WriteJson(folder + "/chat_template.json", {{"chat_template", "<sep>"}});
  EXPECT_EQ(Name(Load(folder)), "reka");
  WriteFile(folder + "/chat_template.jinja", "[INST]");
  EXPECT_EQ(Name(Load(folder)), "mistral");
  WriteJson(folder + "/tokenizer_config.json", {{"chat_template", "<|im_sep|>"}});
  EXPECT_EQ(Name(Load(folder)), "phi4");
  WriteJson(folder + "/tokenizer_config.json",
            {{"chat_template",
              {{{"name", "tool_use"}, {"template", "[INST]"}},
               {{"name", "default"}, {"template", "<|im_start|>"}}}}});
  EXPECT_EQ(Name(Load(folder)), "chatml");
  EXPECT_EQ(Name(Load(folder, "", "llama3")), "llama3");
}

TEST(ModelTextTest, AnOverrideIsAFileOrAFolder) {
  const std::string folder = MakeFolder("override_model");
  const std::string other = MakeFolder("override_tokenizer");
  WriteFile(folder + kVocabularyFile, WorldVocabulary({}));
  WriteJson(other + "/tokenizer.json", SmallTokenizerJson({}));
  WriteJson(other + "/tokenizer_config.json",
            {{"chat_template", "<|im_start|>"}, {"eos_token", "<|end|>"}});
  for (const std::string& path : {other, other + "/tokenizer.json"}) {
    const ModelText model = Load(folder, path);
    EXPECT_EQ(model.tokenizer->TokenId("<|end|>"), 256);
    EXPECT_EQ(Name(model), "chatml");
    EXPECT_THAT(model.end_tokens, ElementsAre(256));
  }
}

TEST(ModelTextTest, BadFilesAndOverridesAreNamed) {
  struct Case {
    const char* file;
    const char* text;
    const char* message;
  };
  for (const Case& c : {
           Case{"tokenizer.json", "{", "tokenizer.json: not JSON"},
           Case{"tokenizer_config.json", "{\"bos_token\": 5}", "bos_token: int64"},
           Case{"tokenizer_config.json", "{\"chat_template\": {}}", "chat_template: object"},
           Case{"tokenizer_config.json", "{\"add_bos_token\": \"no\"}", "add_bos_token: string"},
           Case{"generation_config.json", "{\"eos_token_id\": \"</s>\"}", "eos_token_id: \"</s>\""},
           Case{"config.json", "{\"eos_token_id\": [1, -2]}", "eos_token_id: -2"},
           Case{"config.json", "[]", "config.json: array, expected an object"},
       }) {
    SCOPED_TRACE(c.message);
    const std::string folder = MakeFolder("bad");
    WriteFile(folder + "/" + c.file, c.text);
    const auto model = LoadModelText(folder, "", "");
    ASSERT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(model.status().message()), HasSubstr(c.message));
  }
  const std::string folder = MakeFolder("bad");
  EXPECT_EQ(LoadModelText(folder, folder + "/none.json", "").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(LoadModelText(folder, folder, "").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(LoadModelText(folder, "", "alpaca").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace skein
