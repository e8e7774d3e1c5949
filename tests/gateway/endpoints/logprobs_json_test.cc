#include "gateway/endpoints/logprobs_json.h"

#include <limits>
#include <string>

#include "gtest/gtest.h"

#include "gateway/endpoints/utf8.h"

namespace skein {
namespace {

TEST(LogprobsJsonTest, TokensThatAreNoTextAreShownAsBytes) {
  struct Case {
    std::string bytes;
    std::string text;
  };
  for (const Case& c :
       {Case{"", ""}, Case{" a", " a"}, Case{"\xC3\xA9", "é"}, Case{"\xC3", R"(bytes:\xc3)"},
        Case{"a\x80", R"(bytes:\x61\x80)"}, Case{"\xED\xA0\x80", R"(bytes:\xed\xa0\x80)"},
        Case{std::string(1, '\0'), std::string(1, '\0')}}) {
    EXPECT_EQ(TokenText(c.bytes), c.text);
    EXPECT_TRUE(IsValidUtf8(TokenText(c.bytes)));
  }
}

TEST(LogprobsJsonTest, ALogprobIsWrittenWithTheDigitsOfAFloat) {
  EXPECT_EQ(JsonLogprob(-0.1f), -0.1);
  EXPECT_EQ(JsonLogprob(-1.2345678f), -1.2345678);
  EXPECT_EQ(JsonLogprob(0.0f), 0.0);
  EXPECT_EQ(JsonLogprob(-std::numeric_limits<float>::infinity()), -9999.0);
  EXPECT_EQ(JsonLogprob(std::numeric_limits<float>::quiet_NaN()), -9999.0);
}

TEST(LogprobsJsonTest, OffsetsCountCharactersAcrossTokensThatSplitThem) {
  TokenInfos tokens;
  for (const char* bytes : {"a", "\xE4\xBD", "\xA0", "b"}) tokens.Add()->set_text(bytes);
  int64_t offset = 10;
  const auto lists = CompletionLogprobs(tokens, offset);
  const auto& offsets = lists.at("text_offset").as_array();
  EXPECT_EQ(offsets[1].as_int64(), 11);
  EXPECT_EQ(offsets[2].as_int64(), 12);
  EXPECT_EQ(offsets[3].as_int64(), 12);
  EXPECT_EQ(offset, 13);
}

TEST(Utf8Test, InvalidBytesAreReplacedOneByOne) {
  EXPECT_EQ(ReplaceInvalidUtf8("a\xFF\xC3\xA9\xE4\xBD"), "a\uFFFDé\uFFFD\uFFFD");
  EXPECT_EQ(ValidUtf8Prefix("ab\xC3"), 2u);
}

}  // namespace
}  // namespace skein
