// Long and hostile texts are encoded in a time that grows with their length, not with its square: a
// megabyte of each takes a fraction of a second, where a quadratic step would take minutes.
#include <ctime>

#include "gtest/gtest.h"

#include "common/text/tokenizer.h"
#include "tests/common/text/text_testing.h"
#include "tests/testing/golden.h"

namespace skein {
namespace {

constexpr size_t kBytes = 1 << 20;

std::string Repeat(const std::string& part) {
  std::string text;
  while (text.size() < kBytes) text += part;
  return text;
}

std::string Joined(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  std::string text;
  for (const int32_t id : ids) text += std::string(tokenizer.TokenBytes(id));
  return text;
}

void ExpectFast(const Tokenizer& tokenizer, const char* name, const std::string& text) {
  SCOPED_TRACE(name);
  const std::clock_t start = std::clock();  // of this process, however busy the machine is
  const std::vector<int32_t> ids = tokenizer.Encode(text, false);
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  EXPECT_LT(seconds, 20.0);  // sanitizers included
  EXPECT_FALSE(ids.empty());
}

void ExpectFastOnAll(const Tokenizer& tokenizer) {
  ExpectFast(tokenizer, "one word", Repeat("a"));
  ExpectFast(tokenizer, "one mixed word", Repeat("theserverreadsaprompt"));
  ExpectFast(tokenizer, "capitals", Repeat("A"));
  ExpectFast(tokenizer, "spaces", Repeat(" "));
  ExpectFast(tokenizer, "spaces, then a letter", Repeat(" ") + "a");
  ExpectFast(tokenizer, "spaces and line ends", Repeat(" \n"));
  ExpectFast(tokenizer, "line ends", Repeat("\n") + " a");
  ExpectFast(tokenizer, "digits", Repeat("7"));
  ExpectFast(tokenizer, "signs", Repeat("!'"));
  ExpectFast(tokenizer, "marks in the wrong order", "a" + Repeat("\u0301\u0323"));
  ExpectFast(tokenizer, "ideographs", Repeat("\u65E5\u672C"));
  ExpectFast(tokenizer, "bytes that are not UTF-8", Repeat("\xFF\x80"));
  ExpectFast(tokenizer, "beginnings of an added token", Repeat("<|im_star"));
}

class LinearTimeTest : public ::testing::TestWithParam<const char*> {};

TEST_P(LinearTimeTest, LongTextsAreFast) {
  const auto path = GoldenPath(std::string("tokenizers/") + GetParam() + ".tokenizer.json");
  if (!path.has_value()) GTEST_SKIP() << "no golden tokenizers";
  const auto tokenizer = LoadTokenizer(*path);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  ExpectFastOnAll(**tokenizer);
}

INSTANTIATE_TEST_SUITE_P(All, LinearTimeTest,
                         ::testing::Values("mini-q", "mini-o", "mini-g", "mini-d"),
                         [](const auto& info) { return std::string("mini_") + info.param[5]; });

TEST(LinearTimeWorldTest, WorldVocabularyIsFastAndLossless) {
  const std::string folder = MakeFolder("linear");
  WriteFile(folder + "/vocab.txt", WorldVocabulary({"aa", "aaaaaaaa", "  ", "the", "server"}));
  const auto tokenizer = LoadTokenizer(folder + "/vocab.txt");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  ExpectFastOnAll(**tokenizer);
  const std::string text = Repeat("the server aaa\xFF");
  EXPECT_EQ(Joined(**tokenizer, (*tokenizer)->Encode(text, false)), text);
}

}  // namespace
}  // namespace skein
