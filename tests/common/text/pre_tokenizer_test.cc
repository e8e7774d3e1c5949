#include "common/text/pre_tokenizer.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/common/text/text_testing.h"
#include "tests/testing/golden.h"

namespace skein {
namespace {

using Behavior = Splitter::Behavior;

std::vector<std::string> Split(const Splitter& splitter, const std::string& text) {
  std::vector<absl::string_view> pieces;
  splitter.Split(text, &pieces);
  return {pieces.begin(), pieces.end()};
}

Splitter MakeSplitter(const std::string& pattern, Behavior behavior, bool invert) {
  auto compiled = Pattern::Compile(pattern);
  EXPECT_TRUE(compiled.ok()) << compiled.status();
  return Splitter(*std::move(compiled), behavior, invert);
}

TEST(SplitterTest, EachBehavior) {
  struct Case {
    const char* name;
    Behavior behavior;
    bool invert;
    std::vector<std::string> pieces;  // of "a--b-"
  };
  for (const Case& c : {
           Case{"isolated", Behavior::kIsolated, false, {"a", "-", "-", "b", "-"}},
           Case{"removed", Behavior::kRemoved, false, {"a", "b"}},
           Case{"removed, inverted", Behavior::kRemoved, true, {"-", "-", "-"}},
           Case{"with previous", Behavior::kMergedWithPrevious, false, {"a-", "-", "b-"}},
           Case{"with next", Behavior::kMergedWithNext, false, {"a", "-", "-b", "-"}},
           Case{"contiguous", Behavior::kContiguous, false, {"a", "--", "b", "-"}},
           Case{"contiguous, inverted", Behavior::kContiguous, true, {"a", "--", "b", "-"}},
       }) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(Split(MakeSplitter("-", c.behavior, c.invert), "a--b-"), c.pieces);
  }
}

TEST(SplitterTest, WithoutAMatchTheTextIsOnePiece) {
  EXPECT_EQ(Split(MakeSplitter("x", Behavior::kIsolated, false), "abc"),
            std::vector<std::string>({"abc"}));
  EXPECT_TRUE(Split(MakeSplitter("x", Behavior::kIsolated, false), "").empty());
}

TEST(SplitterTest, GoldenPiecesOfTheModelsPatterns) {
  const auto path = GoldenPath("tokenizers/patterns.json");
  const auto lines = GoldenLines("tokenizers/splits.jsonl");
  if (!path.has_value() || lines.empty()) GTEST_SKIP() << "no golden splits";
  const auto patterns = boost::json::parse(ReadFileOrDie(*path)).as_object();
  for (const auto& [name, pattern] : patterns) {
    SCOPED_TRACE(std::string(name));
    const Splitter isolated = MakeSplitter(Text(pattern), Behavior::kIsolated, false);
    const Splitter removed = MakeSplitter(Text(pattern), Behavior::kRemoved, true);
    for (const auto& line : lines) {
      if (Text(line.at("pattern")) != name) continue;
      std::vector<std::string> pieces;
      for (const auto& piece : line.at("pieces").as_array()) pieces.push_back(Text(piece));
      EXPECT_EQ(Split(isolated, Text(line.at("text"))), pieces);
      EXPECT_EQ(Split(removed, Text(line.at("text"))), pieces);
    }
  }
}

TEST(PreTokenizerTest, SplitsInARowThenThePrefixThenTheBytePattern) {
  PreTokenizer pre_tokenizer;
  pre_tokenizer.AddSplit(MakeSplitter("\\d", Behavior::kIsolated, false));
  pre_tokenizer.set_add_prefix_space(true);
  ASSERT_TRUE(pre_tokenizer.UseByteLevelPattern().ok());
  const PreTokenizer::Pieces pieces = pre_tokenizer.Split("ab cd1 e!");
  EXPECT_THAT(pieces.views, ::testing::ElementsAre(" ab", " cd", " 1", " e", "!"));
  EXPECT_TRUE(pre_tokenizer.Split("").views.empty());
}

}  // namespace
}  // namespace skein
