#include "common/text/pattern.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Matches(const Pattern& pattern, const std::string& text) {
  std::vector<std::string> found;
  Pattern::Matcher matcher(pattern, text);
  for (Pattern::Match match; matcher.Next(&match);) {
    found.push_back(text.substr(match.begin, match.end - match.begin));
  }
  return found;
}

std::vector<std::string> Matches(const char* pattern, const std::string& text) {
  const auto compiled = Pattern::Compile(pattern);
  EXPECT_TRUE(compiled.ok()) << compiled.status();
  return Matches(*compiled, text);
}

TEST(PatternTest, SpaceIsUnicodeWhiteSpace) {
  EXPECT_THAT(Matches("\\s", "a\u00A0b\u180Ec\u200Bd\u3000\u0085\x1C"),
              ElementsAre("\u00A0", "\u3000", "\u0085"));
  EXPECT_THAT(Matches("\\S+", "a\u180Eb \u200Bd"), ElementsAre("a\u180Eb", "\u200Bd"));
  EXPECT_THAT(Matches("[^\\sx]+", "ab\u00A0cxd"), ElementsAre("ab", "c", "d"));
}

TEST(PatternTest, EscapedBackslashesAndBracketsAreNoSets) {
  EXPECT_THAT(Matches(R"(\\s)", "a\\s b"), ElementsAre("\\s"));
  EXPECT_THAT(Matches(R"(\[\s\])", "[ ]"), ElementsAre("[ ]"));
  EXPECT_THAT(Matches(R"([\]\s]+)", "a] ]b"), ElementsAre("] ]"));
  EXPECT_THAT(Matches(R"([]\s]+)", "a] ]b"), ElementsAre("] ]"));
  EXPECT_THAT(Matches(R"([^]\s]+)", "a] ]b"), ElementsAre("a", "b"));
  EXPECT_THAT(Matches(R"([[:alpha:]\s]+)", "a b1"), ElementsAre("a b"));
}

TEST(PatternTest, ContractionsFoldByUnicode) {
  EXPECT_THAT(Matches("(?i:'s)", "'s 'S '\u017F"), ElementsAre("'s", "'S", "'\u017F"));
}

TEST(PatternTest, CaretAndDollarAreThoseOfLines) {
  EXPECT_THAT(Matches("^a$", "a\na\nab"), ElementsAre("a", "a"));
}

TEST(PatternTest, EmptyMatchesAreNone) { EXPECT_THAT(Matches("a*", "baab"), ElementsAre("aa")); }

TEST(PatternTest, ALiteralHasNoSpecialCharacters) {
  const auto literal = Pattern::Literal("a.[");
  ASSERT_TRUE(literal.ok());
  EXPECT_THAT(Matches(*literal, "aa.[ab[a.[a.["), ElementsAre("a.[", "a.[", "a.["));
  EXPECT_FALSE(Pattern::Literal("").ok());
}

TEST(PatternTest, WhatPcre2ReadsDifferentlyIsRefused) {
  for (const char* pattern : {"\\h+", "[\\H]", "[\\S\\d]", "[a[bc]]", "[a-z&&[^b]]"}) {
    EXPECT_EQ(Pattern::Compile(pattern).status().code(), absl::StatusCode::kUnimplemented)
        << pattern;
  }
}

TEST(PatternTest, WhatDoesNotCompileIsNamed) {
  for (const char* pattern : {"(", "[a", "*", "\\p{Nope}", "a{2,1}", "\\C", "(?<n", "\xFF", "\\"}) {
    const auto compiled = Pattern::Compile(pattern);
    ASSERT_EQ(compiled.status().code(), absl::StatusCode::kInvalidArgument) << pattern;
    EXPECT_THAT(std::string(compiled.status().message()), HasSubstr("pattern "));
  }
}

TEST(PatternTest, ASearchWithoutEndIsCutOff) {
  const std::string text(60, 'a');
  EXPECT_TRUE(Matches("(a+)+b", text).empty());
}

TEST(PatternTest, DeepGroupsFallBackToTheInterpreter) {
  const std::string text(50'000, 'a');
  EXPECT_THAT(Matches("(?:a|b)+", text), ElementsAre(text));
}

}  // namespace
}  // namespace skein
