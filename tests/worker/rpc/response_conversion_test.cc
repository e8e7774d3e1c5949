#include "worker/rpc/response_conversion.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/worker/rpc/profiles.h"

namespace skein {
namespace {

TEST(ResponseConversionTest, AChunkKeepsAllItHas) {
  const ByteTokenizer tokenizer;
  OutputChunk chunk;
  chunk.choice = 2;
  chunk.text = "é";
  chunk.tokens = {{0xc3, -0.5f, {{0xc3, -0.5f}, {'a', -1.5f}}}};
  chunk.finish = FinishReason::kStop;
  chunk.matched_stop = "\n";
  EXPECT_EQ(
      ConvertChunk(chunk, &tokenizer).ShortDebugString(),
      "choice: 2 text: \"\\303\\251\" tokens { id: 195 text: \"\\303\" logprob: -0.5 "
      "top { id: 195 text: \"\\303\" logprob: -0.5 } top { id: 97 text: \"a\" logprob: -1.5 } } "
      "finish: FINISH_REASON_STOP matched_stop: \"\\n\"");
}

TEST(ResponseConversionTest, WithoutATokenizerTokensHaveNoBytes) {
  StartInfo info;
  info.seed = 9;
  info.prompt_tokens = 2;
  info.prompt = {{5, std::nullopt, {}}, {6, -1.0f, {}}};
  EXPECT_EQ(ConvertStarted(info, nullptr).ShortDebugString(),
            "prompt { id: 5 } prompt { id: 6 logprob: -1 } seed: 9 prompt_tokens: 2");
}

TEST(ResponseConversionTest, UsageCountsTokensOnceAndSaysHowManyRowsEachTakes) {
  RequestUsage usage;
  usage.prompt_tokens = 4;
  usage.completion_tokens = 5;
  EXPECT_EQ(ConvertUsage(usage).ShortDebugString(),
            "prompt_tokens: 4 completion_tokens: 5 state_rows: 1");
  usage.state_rows = 3;
  EXPECT_EQ(ConvertUsage(usage).state_rows(), 3u);
}

TEST(ResponseConversionTest, OnlyAReadyModelIsListedAsReady) {
  HostStatus status;
  status.model = "m";
  status.load.free_state_slots = 4;
  struct Case {
    ModelState state;
    const char* message;
  };
  for (const Case& c : {Case{ModelState::kEmpty, "free_state_slots: 4"},
                        Case{ModelState::kLoading, "free_state_slots: 4"},
                        Case{ModelState::kUnloading, "free_state_slots: 4"},
                        Case{ModelState::kReady, "free_state_slots: 4 ready_models: \"m\""},
                        Case{ModelState::kDraining, "free_state_slots: 4 draining: true"},
                        Case{ModelState::kGone, "free_state_slots: 4 draining: true"}}) {
    SCOPED_TRACE(c.message);
    status.state = c.state;
    EXPECT_EQ(ConvertLoad(status).ShortDebugString(), c.message);
  }
}

TEST(ResponseConversionTest, AModelIsDescribed) {
  ModelProfile profile = TestProfile();
  profile.fingerprint = "f";
  profile.loaded = absl::FromUnixSeconds(1000);
  const v1::ModelInfo info = ConvertModelInfo(profile);
  EXPECT_EQ(info.name(), "m");
  EXPECT_EQ(info.architecture(), "hybrid");
  EXPECT_EQ(info.chat_format(), "chatml");
  EXPECT_EQ(info.vocab_size(), 300u);
  EXPECT_EQ(info.max_prompt_tokens(), 100u);
  profile.max_total_tokens = 60;  // what the KV pages hold
  EXPECT_EQ(ConvertModelInfo(profile).max_prompt_tokens(), 59u);
  EXPECT_EQ(info.loaded_unix_s(), 1000);
  EXPECT_TRUE(info.has_tokenizer());
  EXPECT_FALSE(info.has_defaults());
  EXPECT_FALSE(ConvertModelInfo(ProfileWithoutTokenizer()).has_tokenizer());
}

}  // namespace
}  // namespace skein
