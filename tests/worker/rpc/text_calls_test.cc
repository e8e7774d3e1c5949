#include "worker/rpc/text_calls.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/worker/rpc/profiles.h"

namespace skein {
namespace {

using ::testing::StartsWith;

TEST(TextCallsTest, TokenizeGivesIdsAndBytes) {
  v1::TokenizeRequest request;
  request.mutable_prompt()->set_text("é");
  const absl::StatusOr<v1::TokenizeResponse> response = Tokenize(request, TestProfile());
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->tokens_size(), 3);
  EXPECT_EQ(response->tokens(0).text(), "<end>");
  EXPECT_EQ(response->tokens(1).id(), 0xc3u);
  EXPECT_EQ(response->tokens(1).text(), "\xc3");
}

TEST(TextCallsTest, ALongPromptCanBeTokenizedThoughNotFed) {
  v1::TokenizeRequest request;
  request.mutable_prompt()->set_text(std::string(1000, 'a'));
  EXPECT_EQ(Tokenize(request, TestProfile())->tokens_size(), 1001);
}

TEST(TextCallsTest, DetokenizeRepairsUtf8) {
  v1::DetokenizeRequest request;
  for (const uint32_t id : {0x61u, 0xc3u, 0x62u}) request.add_ids(id);
  const absl::StatusOr<v1::DetokenizeResponse> response = Detokenize(request, TestProfile());
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->text(),
            "a\xef\xbf\xbd"
            "b");
}

TEST(TextCallsTest, WhatCannotBeDoneIsNamed) {
  v1::DetokenizeRequest ids;
  ids.add_ids(300);
  EXPECT_THAT(std::string(Detokenize(ids, TestProfile()).status().message()),
              StartsWith("ids: token 300"));
  ids.set_ids(0, 1);
  EXPECT_THAT(std::string(Detokenize(ids, ProfileWithoutTokenizer()).status().message()),
              StartsWith("model m: has no tokenizer"));
  v1::TokenizeRequest text;
  text.mutable_prompt()->set_text("a");
  EXPECT_THAT(std::string(Tokenize(text, ProfileWithoutTokenizer()).status().message()),
              StartsWith("prompt: text, but model m has no tokenizer"));
}

}  // namespace
}  // namespace skein
