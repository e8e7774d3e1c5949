#include "common/text/stop_matcher.h"

#include <algorithm>
#include <random>

#include "gtest/gtest.h"

namespace skein {
namespace {

std::string RandomWord(std::mt19937& random, int max_length) {
  std::string word;
  for (int i = random() % max_length + 1; i > 0; --i) word.push_back("ab"[random() % 2]);
  return word;
}

// Depth and match of a stream by looking at all its ends.
TEST(StopMatcherTest, AgreesWithASearchOfAllEnds) {
  std::mt19937 random(4);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> stops;
    for (int i = random() % 4 + 1; i > 0; --i) stops.push_back(RandomWord(random, 6));
    const StopMatcher matcher(stops);
    const std::string stream = RandomWord(random, 30);
    int state = 0;
    for (size_t end = 1; end <= stream.size(); ++end) {
      state = matcher.Next(state, static_cast<uint8_t>(stream[end - 1]));
      int depth = 0;
      int match = 0;
      for (size_t length = 1; length <= end; ++length) {
        const std::string tail = stream.substr(end - length, length);
        for (const std::string& stop : stops) {
          if (stop.compare(0, length, tail) == 0) depth = static_cast<int>(length);
          if (stop == tail) match = static_cast<int>(length);
        }
      }
      ASSERT_EQ(matcher.depth(state), depth);
      ASSERT_EQ(matcher.match_length(state), match);
    }
  }
}

TEST(StopMatcherTest, WithoutStopStringsNothingMatches) {
  for (const StopMatcher& matcher : {StopMatcher({}), StopMatcher({""})}) {
    const int state = matcher.Next(0, 'a');
    EXPECT_EQ(matcher.depth(state), 0);
    EXPECT_EQ(matcher.match_length(state), 0);
  }
}

}  // namespace
}  // namespace skein
