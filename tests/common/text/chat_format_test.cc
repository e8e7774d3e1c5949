#include "common/text/chat_format.h"

#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/common/text/text_testing.h"

namespace skein {
namespace {

using ::testing::HasSubstr;

std::string Render(const char* format, const std::vector<ChatTurn>& turns,
                   const ChatOptions& options) {
  const auto found = FindChatFormat(format);
  EXPECT_TRUE(found.ok()) << found.status();
  const auto text = (*found)->render(turns, options);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.value_or("");
}

TEST(ChatFormatTest, EachFormatRendersItsTurns) {
  struct Case {
    const char* format;
    const char* prompt;   // with a generation prompt
    const char* history;  // without
  };
  const std::vector<ChatTurn> turns = {
      {"system", "S"}, {"user", "U"}, {"assistant", "A"}, {"user", "V"}};
  for (const Case& c : {
           Case{"chatml",
                "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>"
                "assistant\nA<|im_end|>\n"
                "<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n",
                "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>"
                "assistant\nA<|im_end|>\n"
                "<|im_start|>user\nV<|im_end|>\n"},
           Case{"qwen",
                "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>"
                "assistant\nA<|im_end|>\n"
                "<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n",
                "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>"
                "assistant\nA<|im_end|>\n"
                "<|im_start|>user\nV<|im_end|>\n"},
           Case{"qwen3",
                "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>"
                "assistant\nA<|im_end|>\n"
                "<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n",
                "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>"
                "assistant\nA<|im_end|>\n"
                "<|im_start|>user\nV<|im_end|>\n"},
           Case{"llama3",
                "<B><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>"
                "user<|end_header_id|>"
                "\n\nU<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|><|"
                "start_header_id|>user"
                "<|end_header_id|>\n\nV<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
                "<B><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>"
                "user<|end_header_id|>"
                "\n\nU<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|><|"
                "start_header_id|>user"
                "<|end_header_id|>\n\nV<|eot_id|>"},
           Case{"mistral", "<B>[SYSTEM_PROMPT]S[/SYSTEM_PROMPT][INST]U[/INST]A<E>[INST]V[/INST]",
                "<B>[SYSTEM_PROMPT]S[/SYSTEM_PROMPT][INST]U[/INST]A<E>[INST]V[/INST]"},
           Case{"phi3.5",
                "<|system|>\nS<|end|>\n<|user|>\nU<|end|>\n<|assistant|>\nA<|end|>\n<|user|>\nV<|"
                "end|>\n<|assistant|>\n",
                "<|system|>\nS<|end|>\n<|user|>\nU<|end|>\n<|assistant|>\nA<|end|>\n<|user|>\nV<|"
                "end|>\n<E>"},
           Case{"phi4",
                "<|im_start|>system<|im_sep|>S<|im_end|><|im_start|>user<|im_sep|>U<|im_end|><|im_"
                "start|>assistant"
                "<|im_sep|>A<|im_end|><|im_start|>user<|im_sep|>V<|im_end|><|im_start|>assistant<|"
                "im_sep|>",
                "<|im_start|>system<|im_sep|>S<|im_end|><|im_start|>user<|im_sep|>U<|im_end|><|im_"
                "start|>assistant"
                "<|im_sep|>A<|im_end|><|im_start|>user<|im_sep|>V<|im_end|>"},
           Case{"phi4mini",
                "<|system|>S<|end|><|user|>U<|end|><|assistant|>A<|end|><|user|>V<|end|><|"
                "assistant|>",
                "<|system|>S<|end|><|user|>U<|end|><|assistant|>A<|end|><|user|>V<|end|><E>"},
           Case{"reka", "human: S U <sep> assistant: A <sep> human: V <sep> assistant: ",
                "human: S U <sep> assistant: A <sep> human: V <sep> <E>"},
           Case{"world", "System: S\n\nUser: U\n\nAssistant: A\n\nUser: V\n\nAssistant:",
                "System: S\n\nUser: U\n\nAssistant: A\n\nUser: V\n\n"},
       }) {
    SCOPED_TRACE(c.format);
    EXPECT_EQ(Render(c.format, turns, {true, "<B>", "<E>", ""}), c.prompt);
    EXPECT_EQ(Render(c.format, turns, {false, "<B>", "<E>", ""}), c.history);
  }
}

// The golden cases are named by model; reka is Reka Flash 3.
TEST(ChatFormatTest, RendersTheGoldenConversations) {
  const std::map<std::string, const char*> formats = {
      {"world", "world"},       {"qwen3", "qwen3"},   {"rekaflash3", "reka"},      {"phi4", "phi4"},
      {"phi4mini", "phi4mini"}, {"phi3.5", "phi3.5"}, {"mistralsmall3", "mistral"}};
  const auto lines = GoldenLines("tokenizers/chat.jsonl");
  if (lines.empty()) GTEST_SKIP() << "no golden chats";
  std::map<std::string, int> counts;
  for (const auto& line : lines) {
    const std::string name = Text(line.at("name"));
    char model[64] = {};
    int number = 0;
    if (std::sscanf(name.c_str(), "format %63s %d", model, &number) != 2 ||
        !formats.contains(model))
      continue;
    SCOPED_TRACE(name);
    const auto& vars = line.at("vars").as_object();
    ChatOptions options;
    options.add_generation_prompt = vars.at("add_generation_prompt").as_bool();
    options.bos_token = Text(vars.at("bos_token"));
    options.eos_token = Text(vars.at("eos_token"));
    std::vector<ChatTurn> turns;
    for (const auto& message : vars.at("messages").as_array()) {
      turns.push_back({Text(message.at("role")), Text(message.at("content"))});
    }
    EXPECT_EQ(Render(formats.at(model), turns, options), Text(line.at("expected")));
    ++counts[model];
  }
  for (const auto& [model, format] : formats) EXPECT_EQ(counts[model], 30) << model;
}

TEST(ChatFormatTest, QwenInsertsASystemMessage) {
  const std::string qwen = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";
  const std::string rest = "<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n";
  EXPECT_EQ(Render("qwen", {{"user", "Hi"}}, {false, "", "", ""}),
            "<|im_start|>system\n" + qwen + rest);
  EXPECT_EQ(Render("qwen", {{"user", "Hi"}}, {false, "", "", "You are new."}),
            "<|im_start|>system\nYou are new." + rest);
  EXPECT_EQ(Render("chatml", {{"user", "Hi"}}, {false, "", "", "You are new."}),
            "<|im_start|>user\nHi<|im_end|>\n");
}

TEST(ChatFormatTest, Qwen3KeepsReasoningAfterTheLastQuestionOnly) {
  const std::string thought = "<think>\nwhy\n</think>\n\nA";
  EXPECT_EQ(
      Render("qwen3", {{"user", "U"}, {"assistant", thought}, {"user", "V"}}, {false, "", "", ""}),
      "<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nV<|im_"
      "end|>\n");
  EXPECT_EQ(
      Render("qwen3",
             {{"user", "U"}, {"assistant", thought}, {"user", "<tool_response>4</tool_response>"}},
             {false, "", "", ""}),
      "<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n" + thought +
          "<|im_end|>\n<|im_start|>user\n<tool_response>4</tool_response><|im_end|>\n");
}

TEST(ChatFormatTest, UnknownRolesAreRefusedByEveryFormat) {
  for (const char* name : {"chatml", "qwen", "qwen3", "llama3", "mistral", "phi3.5", "phi4",
                           "phi4mini", "reka", "world"}) {
    const auto text = (*FindChatFormat(name))->render({{"user", "U"}, {"wizard", "W"}}, {});
    ASSERT_EQ(text.status().code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(std::string(text.status().message()), HasSubstr("messages[1].role: \"wizard\""));
  }
}

TEST(ChatFormatTest, RekaNeedsAMessageBehindTheSystemMessage) {
  const ChatFormat& reka = **FindChatFormat("reka");
  EXPECT_EQ(reka.render({{"system", "S"}}, {}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(reka.render({}, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ChatFormatTest, AnUnknownNameListsTheKnownOnes) {
  const auto found = FindChatFormat("alpaca");
  ASSERT_EQ(found.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(
      std::string(found.status().message()),
      HasSubstr("chatml, qwen, qwen3, llama3, mistral, phi3.5, phi4, phi4mini, reka, world"));
}

TEST(ChatFormatTest, TemplatesAreRecognisedByTheirLiterals) {
  struct Case {
    const char* format;  // nullptr: none
    const char* text;
  };
  for (const Case& c : {
           Case{"phi4", "{{'<|im_start|>user<|im_sep|>' + m.content + '<|im_end|>'}}<think>"},
           Case{"phi3.5", R"({{'<|user|>\n' + m.content + '<|end|>\n'}})"},
           Case{"phi3.5", R"({{'<|user|>' + '\n' + m.content + '<|end|>' + '\n'}})"},
           Case{"phi3.5", "<|user|>\n{{ m.content }}<|end|>\n"},
           Case{"phi3.5", "{% if x == '<|user|>' %}<|user|>\r\n{{ m.content }}<|end|>"},
           Case{"phi4mini", "{{'<|user|>' + m.content + '<|end|>'}}"},
           Case{"phi4mini", R"({{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{{ '\n' }})"},
           Case{"mistral", "{{ bos_token }}[INST]{{ m.content }}[/INST]<sep>"},
           Case{"reka", "human: {{ m.content }} <sep> <|start_header_id|>"},
           Case{"llama3", "<|start_header_id|>{{ m.role }}<|end_header_id|><|im_start|>"},
           Case{"qwen3", "<|im_start|>You are<think>"},
           Case{"qwen", R"({{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }})"},
           Case{"chatml", "<|im_start|>{{ m.role }}"},
           Case{nullptr, "### Instruction: {{ m.content }}"},
           Case{nullptr, ""},
       }) {
    SCOPED_TRACE(c.text);
    const ChatFormat* format = DetectChatFormat(c.text);
    EXPECT_EQ(format == nullptr ? "none" : std::string(format->name),
              c.format == nullptr ? "none" : c.format);
  }
}

TEST(ChatFormatTest, TheDefaultSystemMessageIsReadFromTheTemplate) {
  EXPECT_EQ(
      DefaultSystemMessage(R"({{ '<|im_start|>system\nYou are Ada. You are kind.<|im_end|>\n' }})"),
      "You are Ada. You are kind.");
  EXPECT_EQ(DefaultSystemMessage("{{- 'You are Ada.' }}"), "You are Ada.");
  EXPECT_EQ(DefaultSystemMessage("<|im_start|>"), "");
}

TEST(ChatFormatTest, StopStringsOfTheFormatsThatHaveThem) {
  EXPECT_THAT((*FindChatFormat("world"))->stop, ::testing::ElementsAre("\n\nUser:"));
  EXPECT_TRUE((*FindChatFormat("world"))->strip_leading_space);
  EXPECT_THAT((*FindChatFormat("reka"))->stop, ::testing::Contains(" <sep>"));
  EXPECT_TRUE((*FindChatFormat("chatml"))->stop.empty());
}

}  // namespace
}  // namespace skein
