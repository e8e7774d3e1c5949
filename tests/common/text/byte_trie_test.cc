#include "common/text/byte_trie.h"

#include <map>
#include <random>

#include "gtest/gtest.h"

namespace skein {
namespace {

TEST(ByteTrieTest, FindsTheLongestLikeALoopOverAllLengths) {
  std::mt19937 random(2);
  const auto word = [&](int max_length) {
    std::string text;
    for (int i = random() % max_length + 1; i > 0; --i)
      text.push_back("ab\x00\xFF\x80"[random() % 5]);
    return text;
  };
  std::map<std::string, int32_t> strings;
  for (int32_t id = 0; id < 400; ++id) strings.emplace(word(7), id);
  const ByteTrie trie({strings.begin(), strings.end()});
  for (int i = 0; i < 2000; ++i) {
    const std::string text = word(9);
    ByteTrie::Match expected;
    for (size_t length = 1; length <= text.size(); ++length) {
      const auto found = strings.find(text.substr(0, length));
      if (found != strings.end()) expected = {found->second, length};
    }
    const ByteTrie::Match match = trie.LongestMatch(text);
    EXPECT_EQ(match.id, expected.id);
    EXPECT_EQ(match.length, expected.length);
  }
}

TEST(ByteTrieTest, EmptyTriesEmptyStringsAndEmptyTextsMatchNothing) {
  EXPECT_EQ(ByteTrie().LongestMatch("a").id, -1);
  EXPECT_EQ(ByteTrie({{"", 3}}).LongestMatch("a").id, -1);
  EXPECT_EQ(ByteTrie({{"a", 3}}).LongestMatch("").id, -1);
}

TEST(ByteTrieTest, OfEqualStringsTheFirstCounts) {
  EXPECT_EQ(ByteTrie({{"ab", 5}, {"ab", 4}}).LongestMatch("abc").id, 5);
}

}  // namespace
}  // namespace skein
