#include "tools/skeinctl/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace skein::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Values {
  std::string name = "unset";
  int64_t count = -1;
  double ratio = -1;
  bool fast = false;

  std::vector<Option> Table() {
    return {TextOption("name", "NAME", "a name", &name),
            IntOption("count", "N", "a count", 0, 10, [this](int64_t value) { count = value; }),
            NumberOption("ratio", "R", "a ratio", 0, 1, [this](double value) { ratio = value; }),
            SwitchOption("fast", "be fast", &fast)};
  }
};

TEST(ParseArgsTest, TakesValuesWithAndWithoutAnEqualsSign) {
  Values values;
  const auto parsed =
      ParseArgs({"--name=a=b", "first", "--count", "7", "--fast", "--ratio", "0.5", "--", "--name"},
                values.Table());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->positional, ElementsAre("first", "--name"));
  EXPECT_FALSE(parsed->help);
  EXPECT_EQ(values.name, "a=b");
  EXPECT_EQ(values.count, 7);
  EXPECT_EQ(values.ratio, 0.5);
  EXPECT_TRUE(values.fast);
}

TEST(ParseArgsTest, RefusesWhatItDoesNotKnow) {
  struct Case {
    std::vector<std::string> args;
    const char* message;
  };
  for (const Case& c : {
           Case{{"--nmae=x"}, "--nmae: unknown option"},
           Case{{"-x"}, "-x: unknown option"},
           Case{{"--count=11"}, "--count: \"11\", expected a whole number from 0 to 10"},
           Case{{"--count=1.5"}, "--count: \"1.5\", expected a whole number"},
           Case{{"--count="}, "--count: \"\", expected"},
           Case{{"--ratio=nan"}, "--ratio: \"nan\", expected a number from 0 to 1"},
           Case{{"--ratio", "2"}, "--ratio: \"2\""},
           Case{{"--fast=yes"}, "--fast: takes no value"},
           Case{{"--name"}, "--name: a value is missing"},
       }) {
    Values values;
    const auto parsed = ParseArgs(c.args, values.Table());
    ASSERT_FALSE(parsed.ok()) << c.message;
    EXPECT_TRUE(absl::IsInvalidArgument(parsed.status()));
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(c.message));
  }
}

TEST(ParseArgsTest, NoticesThatHelpIsWanted) {
  Values values;
  for (const char* flag : {"--help", "-h"}) {
    const auto parsed = ParseArgs({flag}, values.Table());
    ASSERT_TRUE(parsed.ok());
    EXPECT_TRUE(parsed->help);
  }
}

TEST(DescribeOptionsTest, HasALineForEachOption) {
  Values values;
  const std::string text = DescribeOptions(values.Table());
  for (const char* part : {"--name NAME", "--count N", "--ratio R", "--fast", "be fast"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

}  // namespace
}  // namespace skein::ctl
