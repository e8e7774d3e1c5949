#include "worker/rpc/generate_conversion.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/config/text_proto.h"
#include "tests/worker/rpc/profiles.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::StartsWith;

constexpr uint64_t kRandomSeed = 77;

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  const absl::Status status = ParseTextProto(text, "test", message);
  EXPECT_TRUE(status.ok()) << status;
  return message;
}

ConvertedGenerate Convert(const std::string& text, const ModelProfile& model = TestProfile()) {
  absl::StatusOr<ConvertedGenerate> converted =
      ConvertGenerate(Parse<v1::GenerateRequest>(text), model, Registry(), kRandomSeed);
  EXPECT_TRUE(converted.ok()) << converted.status();
  return converted.ok() ? *std::move(converted) : ConvertedGenerate();
}

std::string Repeat(int count, const std::string& text) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

TEST(GenerateConversionTest, WhatIsLeftOutGetsItsDefault) {
  const GenerationRequest engine = Convert("prompt { text: 'ab' }").engine;
  EXPECT_THAT(engine.prompt, ElementsAre(ByteTokenizer::kEnd, 'a', 'b'));
  EXPECT_EQ(engine.sampling.temperature, 1.0f);
  EXPECT_EQ(engine.sampling.top_k, 0);
  EXPECT_EQ(engine.sampling.top_p, 1.0f);
  EXPECT_EQ(engine.sampling.penalty_decay, 1.0f);
  EXPECT_EQ(engine.sampling.repetition_penalty, 1.0f);
  EXPECT_EQ(engine.sampling.seed, kRandomSeed);
  EXPECT_EQ(engine.stopping.max_tokens, 50);
  EXPECT_EQ(engine.stopping.min_tokens, 0);
  EXPECT_THAT(engine.stopping.end_tokens, ElementsAre(ByteTokenizer::kEnd));
  EXPECT_THAT(engine.stopping.stop, IsEmpty());
  EXPECT_EQ(engine.num_choices, 1);
  EXPECT_FALSE(engine.logprobs.has_value());
  EXPECT_FALSE(engine.strip_leading_space);
}

TEST(GenerateConversionTest, WhatIsGivenArrives) {
  const ConvertedGenerate converted = Convert(R"(
      prompt { tokens { ids: 104 ids: 105 } } n: 3 echo: true
      sampling { temperature: 0.5 top_k: 7 top_p: 0.25 min_p: 0.125 presence_penalty: 1
                 frequency_penalty: 2 penalty_decay: 0.75 repetition_penalty: 1.5
                 repetition_output_only: true prompt_penalty_weight: 0.5 penalty_exempt_tokens: 10
                 logit_bias { key: 9 value: -1 } logit_bias { key: 3 value: 2 }
                 banned_tokens: 11 allowed_tokens { ids: 12 } order: SAMPLING_ORDER_RWKV seed: 5 }
      stopping { max_tokens: 40 min_tokens: 2 stop { text: 'x' text: '' } stop_tokens: 13
                 include_stop: true }
      logprobs { top: 20 prompt: true processed: true })");
  const GenerationRequest& engine = converted.engine;
  EXPECT_THAT(engine.prompt, ElementsAre('h', 'i'));
  EXPECT_EQ(converted.echo, "hi");
  EXPECT_EQ(engine.num_choices, 3);
  const SamplingParams& sampling = engine.sampling;
  EXPECT_EQ(sampling.temperature, 0.5f);
  EXPECT_EQ(sampling.top_k, 7);
  EXPECT_EQ(sampling.top_p, 0.25f);
  EXPECT_EQ(sampling.min_p, 0.125f);
  EXPECT_EQ(sampling.presence_penalty, 1.0f);
  EXPECT_EQ(sampling.frequency_penalty, 2.0f);
  EXPECT_EQ(sampling.penalty_decay, 0.75f);
  EXPECT_EQ(sampling.repetition_penalty, 1.5f);
  EXPECT_TRUE(sampling.repetition_output_only);
  EXPECT_EQ(sampling.prompt_penalty_weight, 0.5f);
  EXPECT_THAT(sampling.penalty_exempt_tokens, ElementsAre(10));
  EXPECT_THAT(sampling.logit_bias, ElementsAre(Pair(3, 2.0f), Pair(9, -1.0f)));
  EXPECT_THAT(sampling.banned_tokens, ElementsAre(11));
  EXPECT_THAT(*sampling.allowed_tokens, ElementsAre(12));
  EXPECT_EQ(sampling.order, SamplingOrder::kRwkv);
  EXPECT_EQ(sampling.seed, 5u);
  EXPECT_EQ(engine.stopping.max_tokens, 40);
  EXPECT_EQ(engine.stopping.min_tokens, 2);
  EXPECT_THAT(engine.stopping.stop, ElementsAre("x"));
  EXPECT_THAT(engine.stopping.end_tokens, ElementsAre(13, ByteTokenizer::kEnd));
  EXPECT_TRUE(engine.stopping.include_stop);
  EXPECT_EQ(engine.logprobs->top, 20);
  EXPECT_TRUE(engine.logprobs->prompt);
  EXPECT_TRUE(engine.logprobs->processed);
}

TEST(GenerateConversionTest, TheArchitectureDecidesTheOrder) {
  ModelProfile model = TestProfile();
  EXPECT_EQ(Convert("prompt { text: 'a' }", model).engine.sampling.order, SamplingOrder::kHf);
  model.description.architecture = "rwkv7";
  EXPECT_EQ(Convert("prompt { text: 'a' }", model).engine.sampling.order, SamplingOrder::kRwkv);
}

TEST(GenerateConversionTest, AChatIsRenderedWithoutSpecialTokensOfTheTokenizer) {
  const ConvertedGenerate converted =
      Convert("prompt { chat { turns { role: 'user' content: 'Hi' } } } echo: true");
  const std::string text = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";
  EXPECT_EQ(converted.echo, text);
  EXPECT_THAT(converted.engine.prompt,
              ::testing::ElementsAreArray(ByteTokenizer().Encode(text, false)));
}

TEST(GenerateConversionTest, DefaultStopStringsAreTheConfiguredOnesElseThoseOfTheChatFormat) {
  const std::string chat = "prompt { chat { turns { role: 'user' content: 'Hi' } } }";
  ModelProfile model = TestProfile();
  model.max_prompt_tokens = 1000;
  model.max_total_tokens = 2000;
  model.text.chat = *FindChatFormat("world");
  ASSERT_FALSE(model.text.chat->stop.empty());
  EXPECT_EQ(Convert(chat, model).engine.stopping.stop.size(), model.text.chat->stop.size());
  EXPECT_EQ(Convert(chat, model).engine.strip_leading_space, model.text.chat->strip_leading_space);
  EXPECT_THAT(Convert("prompt { text: 'a' }", model).engine.stopping.stop, IsEmpty());
  EXPECT_THAT(Convert(chat + "stopping { stop {} }", model).engine.stopping.stop, IsEmpty());
  model.default_stop = {"END"};
  EXPECT_THAT(Convert(chat, model).engine.stopping.stop, ElementsAre("END"));
  EXPECT_THAT(Convert("prompt { text: 'a' }", model).engine.stopping.stop, ElementsAre("END"));
}

TEST(GenerateConversionTest, IgnoreEosBansTheModelsEndTokensButNotTheRequests) {
  const GenerationRequest engine =
      Convert("prompt { text: 'a' } stopping { ignore_eos: true stop_tokens: 13 }").engine;
  EXPECT_THAT(engine.sampling.banned_tokens, ElementsAre(ByteTokenizer::kEnd));
  EXPECT_THAT(engine.stopping.end_tokens, ElementsAre(13));
}

TEST(GenerateConversionTest, MaxTokensShrinksToTheRoomThatIsLeft) {
  EXPECT_EQ(Convert("prompt { text: '" + std::string(89, 'a') + "' }").engine.stopping.max_tokens,
            30);
  const std::string clipped = " stopping { max_tokens: 9999 clip_max_tokens: true }";
  EXPECT_EQ(Convert("prompt { text: 'a' }" + clipped).engine.stopping.max_tokens, 50);
  EXPECT_EQ(Convert("prompt { text: '" + std::string(89, 'a') + "' }" + clipped)
                .engine.stopping.max_tokens,
            30);
}

TEST(GenerateConversionTest, NothingIsDrawnOnlyWherePromptLogprobsAreWanted) {
  const GenerationRequest engine =
      Convert("prompt { text: 'a' } logprobs { prompt: true } stopping { max_tokens: 0 }").engine;
  EXPECT_EQ(engine.stopping.max_tokens, 0);
}

TEST(GenerateConversionTest, TokenPromptsNeedNoTokenizer) {
  const GenerationRequest engine =
      Convert("prompt { tokens { ids: 299 } } stopping { stop_tokens: 4 }",
              ProfileWithoutTokenizer())
          .engine;
  EXPECT_THAT(engine.prompt, ElementsAre(299));
  EXPECT_THAT(engine.stopping.end_tokens, ElementsAre(4));
}

TEST(GenerateConversionTest, EveryBadFieldIsNamed) {
  struct Case {
    std::string request;
    const char* error;
    absl::StatusCode code = absl::StatusCode::kInvalidArgument;
  };
  const std::string a = "prompt { text: 'a' } ";
  constexpr absl::StatusCode kUnimplemented = absl::StatusCode::kUnimplemented;
  const std::vector<Case> cases = {
      {"", "prompt: missing, expected text, tokens or chat"},
      {"prompt {}", "prompt: missing"},
      {"prompt { tokens {} }", "prompt: no tokens, expected at least one"},
      {"prompt { tokens { ids: 1 ids: 300 } }",
       "prompt: token 300 at index 1, expected less than 300"},
      {"prompt { tokens { ids: 4294967295 } }", "prompt: token 4294967295"},
      {"prompt { text: '" + std::string(100, 'a') + "' }",
       "prompt: 101 tokens, expected at most 100"},
      {"prompt { chat {} }", "prompt.chat.turns: none"},
      {"prompt { chat { turns { role: 'robot' content: 'a' } } }", "prompt.chat: "},
      {"prompt { chat { turns { role: 'user' } thinking: true } }",
       "prompt.chat.thinking: ", kUnimplemented},
      {a + "conditioning { entry: 's' }", "state \"s\": not registered",
       absl::StatusCode::kNotFound},
      {a + "conditioning { entry: '' }", "state \"\": not registered", absl::StatusCode::kNotFound},
      {a + "conditioning { mix {} }", "mix: 0 states, expected 1 to 8"},
      {a + "conditioning { adapters { name: 'l' } }", "adapter \"l\": not registered",
       absl::StatusCode::kNotFound},
      {a + "conditioning { adapters { name: 'l' } adapters { name: 'k' } }",
       "adapter \"l\": not registered", absl::StatusCode::kNotFound},
      {a + "priority: -1", "priority: ", kUnimplemented},
      {a + "from_session: 's'", "from_session: ", kUnimplemented},
      {a + "save_session: 's'", "save_session: ", kUnimplemented},
      {a + "n: 9", "n: 9, expected 1 to 8"},
      {a + "logprobs { top: 21 }", "logprobs.top: 21, expected 0 to 20"},
      {a + "stopping { max_tokens: 0 }", "max_tokens: 0, expected 1 to 50"},
      {a + "stopping { max_tokens: 51 }", "max_tokens: 51, expected 1 to 50"},
      {"prompt { text: '" + std::string(89, 'a') + "' } stopping { max_tokens: 31 }",
       "max_tokens: 31, expected 1 to 30"},
      {a + "stopping { max_tokens: 3 min_tokens: 4 }", "min_tokens: 4, expected 0 to 3"},
      {a + "stopping { stop {" + Repeat(17, "text: 'x' ") + "} }", "stop: 17 strings"},
      {a + "stopping { stop { text: '" + std::string(1025, 'x') + "' } }",
       "stop: a string of 1025"},
      {a + "stopping { stop_tokens: 300 }", "stop_tokens: token 300"},
      {a + "sampling { temperature: -0.5 }", "temperature: "},
      {a + "sampling { temperature: nan }", "temperature: "},
      {a + "sampling { temperature: inf }", "temperature: "},
      {a + "sampling { top_p: 1.5 }", "top_p: "},
      {a + "sampling { top_p: nan }", "top_p: "},
      {a + "sampling { min_p: -1 }", "min_p: "},
      {a + "sampling { presence_penalty: inf }", "presence_penalty: "},
      {a + "sampling { frequency_penalty: -inf }", "frequency_penalty: "},
      {a + "sampling { penalty_decay: 0 }", "penalty_decay: "},
      {a + "sampling { repetition_penalty: 0 }", "repetition_penalty: "},
      {a + "sampling { prompt_penalty_weight: -1 }", "prompt_penalty_weight: "},
      {a + "sampling { penalty_exempt_tokens: 300 }", "penalty_exempt_tokens: token 300"},
      {a + "sampling { logit_bias { key: 300 value: 1 } }", "logit_bias: token 300"},
      {a + "sampling { logit_bias { key: 3 value: 101 } }", "logit_bias: "},
      {a + "sampling { logit_bias { key: 3 value: nan } }", "logit_bias: "},
      {a + "sampling { banned_tokens: 300 }", "banned_tokens: token 300"},
      {a + "sampling { allowed_tokens {} }", "allowed_tokens: empty"},
      {a + "sampling { allowed_tokens { ids: 300 } }", "allowed_tokens: token 300"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.request);
    const absl::Status status =
        ConvertGenerate(Parse<v1::GenerateRequest>(c.request), TestProfile(), Registry(), 0)
            .status();
    EXPECT_EQ(status.code(), c.code);
    EXPECT_THAT(std::string(status.message()), StartsWith(c.error));
  }
}

TEST(GenerateConversionTest, WhatAModelLacksIsRefused) {
  struct Case {
    ModelProfile model;
    const char* request;
    const char* error;
  };
  for (const Case& c :
       {Case{ProfileWithoutTokenizer(), "prompt { text: 'a' }", "prompt: text, but model m has no"},
        Case{ProfileWithoutTokenizer(), "prompt { chat { turns { role: 'user' } } }",
             "prompt.chat: model m has no tokenizer"},
        Case{ProfileWithoutChat(), "prompt { chat { turns { role: 'user' } } }",
             "prompt.chat: model m has no chat format"},
        Case{ProfileWithoutTokenizer(),
             "prompt { tokens { ids: 1 } } stopping { stop { text: 'x' } }",
             "stop: model m has no"},
        Case{ProfileWithoutTokenizer(), "prompt { tokens { ids: 1 } } echo: true",
             "echo: model m has no"}}) {
    SCOPED_TRACE(c.request);
    const absl::Status status =
        ConvertGenerate(Parse<v1::GenerateRequest>(c.request), c.model, Registry(), 0).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), StartsWith(c.error));
  }
}

TEST(GenerateConversionTest, AnOrderThatDoesNotExistIsRefused) {
  v1::GenerateRequest request = Parse<v1::GenerateRequest>("prompt { text: 'a' }");
  request.mutable_sampling()->set_order(static_cast<v1::SamplingOrder>(9));
  const absl::Status status = ConvertGenerate(request, TestProfile(), Registry(), 0).status();
  EXPECT_THAT(std::string(status.message()), StartsWith("order: 9"));
}

TEST(ScoreConversionTest, NothingIsDrawnAndThePromptIsReported) {
  const absl::StatusOr<GenerationRequest> engine = ConvertScore(
      Parse<v1::ScoreRequest>("prompt { text: 'a' } top: 3"), TestProfile(), Registry());
  ASSERT_TRUE(engine.ok()) << engine.status();
  EXPECT_THAT(engine->prompt, ElementsAre(ByteTokenizer::kEnd, 'a'));
  EXPECT_EQ(engine->stopping.max_tokens, 0);
  EXPECT_EQ(engine->logprobs->top, 3);
  EXPECT_TRUE(engine->logprobs->prompt);
}

TEST(ScoreConversionTest, EveryBadFieldIsNamed) {
  struct Case {
    std::string request;
    const char* error;
  };
  for (const Case& c :
       {Case{"", "prompt: missing"}, Case{"prompt { tokens {} }", "prompt: no tokens"},
        Case{"prompt { text: 'a' } top: 21", "top: 21, expected 0 to 20"},
        Case{"prompt { text: 'a' } conditioning { entry: 's' }", "state "},
        Case{"prompt { text: '" + std::string(100, 'a') + "' }", "prompt: 101 tokens"}}) {
    SCOPED_TRACE(c.request);
    const absl::Status status =
        ConvertScore(Parse<v1::ScoreRequest>(c.request), TestProfile(), Registry()).status();
    EXPECT_THAT(std::string(status.message()), StartsWith(c.error));
  }
}

}  // namespace
}  // namespace skein
