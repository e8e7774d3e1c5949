#include "common/text/world_tokenizer.h"

#include <map>
#include <random>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/common/text/text_testing.h"
#include "tests/testing/golden.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<WorldTokenizer> Make(const std::vector<std::string>& words) {
  auto tokenizer = WorldTokenizer::Create(WorldVocabulary(words), "vocab");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

TEST(WorldTokenizerTest, TakesTheLongestTokenAtEachPlace) {
  const auto tokenizer = Make({"he", "hello", " w", " wor", "\n\n", "\xE6\x97"});
  EXPECT_THAT(tokenizer->Encode("hello world", false), ElementsAre(258, 260, 'l' + 1, 'd' + 1));
  EXPECT_THAT(tokenizer->Encode("hell\n\n\n", true),
              ElementsAre(257, 'l' + 1, 'l' + 1, 261, '\n' + 1));
  EXPECT_THAT(tokenizer->Encode("\xE6\x97\xA5", false), ElementsAre(262, 0xA5 + 1));
  EXPECT_TRUE(tokenizer->Encode("", true).empty());
}

TEST(WorldTokenizerTest, EveryByteStringComesBack) {
  const auto tokenizer = Make({"he", "\xE6\x97", "\xE6\x97\xA5", "\x80\x80", "aa", "aaa"});
  std::mt19937 random(3);
  for (int i = 0; i < 1000; ++i) {
    const std::string bytes = RandomBytes(random, 40);
    std::string joined;
    for (const int32_t id : tokenizer->Encode(bytes, false))
      joined += std::string(tokenizer->TokenBytes(id));
    EXPECT_EQ(joined, bytes);
  }
}

TEST(WorldTokenizerTest, TokenZeroEndsAndHasNoBytes) {
  const auto tokenizer = Make({"he"});
  EXPECT_TRUE(tokenizer->IsToken(0));
  EXPECT_TRUE(tokenizer->IsSpecial(0));
  EXPECT_EQ(tokenizer->TokenBytes(0), "");
  EXPECT_EQ(tokenizer->vocab_size(), 258);
  EXPECT_TRUE(tokenizer->IsToken(257));
  for (const int32_t id : {-1, 258, 1 << 30}) {
    EXPECT_FALSE(tokenizer->IsToken(id));
    EXPECT_EQ(tokenizer->TokenBytes(id), "");
  }
  EXPECT_EQ(tokenizer->TokenId("he"), 257);
  EXPECT_EQ(tokenizer->TokenId("<|endoftext|>"), -1);
  EXPECT_EQ(Decode(*tokenizer, {257, 0, 0xE6 + 1, 999}, true), "he\xEF\xBF\xBD");
}

TEST(WorldTokenizerTest, DamagedVocabulariesNameTheLine) {
  struct Case {
    const char* name;
    const char* lines;  // behind the 256 single bytes
    const char* message;
  };
  const std::string bytes = WorldVocabulary({});
  for (const Case& c : {
           Case{"no length", "257 'ab'\n", "line 257: expected: ID LITERAL LENGTH"},
           Case{"wrong length", "257 'ab' 3\n",
                "line 257: length \"3\", but the token has 2 bytes"},
           Case{"length of characters", "257 '\xE6\x97\xA5' 1\n", "line 257: length \"1\""},
           Case{"id zero", "0 'ab' 2\n", "line 257: id \"0\""},
           Case{"negative id", "-4 'ab' 2\n", "line 257: id \"-4\""},
           Case{"huge id", "99999999999999999999 'ab' 2\n", "line 257: id"},
           Case{"id no number", "x 'ab' 2\n", "line 257: id \"x\""},
           Case{"id twice", "257 'ab' 2\n257 'ac' 2\n", "line 258: id 257 for the second time"},
           Case{"token twice", "257 'ab' 2\n258 'ab' 2\n", "line 258: the same token as id 257"},
           Case{"empty token", "257 '' 0\n", "line 257: an empty token"},
           Case{"no quotes", "257 ab 2\n", "line 257: the literal is not in quotes"},
           Case{"code in place of a literal", "257 __import__('os') 2\n", "line 257: the literal"},
           Case{"unknown escape", "257 '\\q' 2\n", "line 257: an unknown escape"},
       }) {
    SCOPED_TRACE(c.name);
    const auto tokenizer = WorldTokenizer::Create(bytes + c.lines, "vocab.txt");
    ASSERT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr(c.message));
    EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr("vocab.txt: "));
  }
}

TEST(WorldTokenizerTest, AllSingleBytesAreNeeded) {
  std::string vocabulary = WorldVocabulary({});
  vocabulary.resize(vocabulary.rfind("256 b"));
  const auto tokenizer = WorldTokenizer::Create(vocabulary, "vocab.txt");
  ASSERT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr("no token for the byte 255"));
}

TEST(WorldTokenizerTest, LineEndsOfWindowsAreRead) {
  std::string vocabulary;
  for (const char c : WorldVocabulary({"ab"})) {
    if (c == '\n') vocabulary += '\r';
    vocabulary += c;
  }
  const auto tokenizer = WorldTokenizer::Create(vocabulary, "vocab.txt");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_THAT((*tokenizer)->Encode("ab", false), ElementsAre(257));
}

TEST(WorldTokenizerTest, EncodesTheGoldenLinesOfTheRealVocabulary) {
  const auto vocabulary = SharedDataPath("rwkv_vocab_v20230424.txt");
  const auto lines = GoldenLines("rwkv/tokenizer.jsonl");
  if (!vocabulary.has_value() || lines.empty())
    GTEST_SKIP() << "the RWKV World vocabulary is not here";
  const auto tokenizer = LoadTokenizer(*vocabulary);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->vocab_size(), 65530);
  for (const auto& line : lines) {
    std::string bytes;
    ASSERT_TRUE(absl::Base64Unescape(Text(line.at("b64")), &bytes));
    const std::vector<int32_t> ids = Ids(line.at("ids"));
    EXPECT_EQ((*tokenizer)->Encode(bytes, true), ids);
    std::string joined;
    for (const int32_t id : ids) joined += std::string((*tokenizer)->TokenBytes(id));
    EXPECT_EQ(joined, bytes);
    if (!line.contains("text")) continue;
    EXPECT_EQ(Decode(**tokenizer, ids, false), Text(line.at("text")));
  }
}

}  // namespace
}  // namespace skein
