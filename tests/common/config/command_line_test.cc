#include "common/config/command_line.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using ::testing::HasSubstr;

// Flags that write down what they were given.
struct Recorder {
  std::string path;
  uint32_t count = 0;
  bool quiet = false;
  std::vector<FlagGroup> groups = {
      {"Things",
       {{"path", "PATH", "where it is\nand what",
         [this](const std::string& value) {
           path = value;
           return absl::OkStatus();
         }},
        {"count", "N", "how many", SetUint32([this](uint32_t value) { count = value; })}}},
      {"Other", {{"quiet", "", "say less", [this](const std::string&) {
                    quiet = true;
                    return absl::OkStatus();
                  }}}}};
};

TEST(CommandLineTest, BothFormsSetAFlagAndTheLastOneStays) {
  Recorder flags;
  const absl::Status status =
      ParseFlags({"--path", "a", "--count=3", "--quiet", "--path=b=c"}, flags.groups);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(flags.path, "b=c");
  EXPECT_EQ(flags.count, 3u);
  EXPECT_TRUE(flags.quiet);
}

TEST(CommandLineTest, EveryMistakeNamesTheFlag) {
  struct Case {
    std::vector<std::string> args;
    const char* error;
  };
  for (const Case& c :
       {Case{{"--pth", "a"}, "--pth: unknown flag"}, Case{{"path"}, "\"path\" is not a flag"},
        Case{{"-p"}, "\"-p\" is not a flag"}, Case{{"--"}, "\"--\" is not a flag"},
        Case{{"--path"}, "--path: the value is missing, expected --path PATH"},
        Case{{"--quiet=no"}, "--quiet: takes no value"},
        Case{{"--count", "many"}, "--count: \"many\", expected a whole number"},
        Case{{"--count", "-1"}, "--count: \"-1\""}, Case{{"--count="}, "--count: \"\""}}) {
    SCOPED_TRACE(c.error);
    Recorder flags;
    const absl::Status status = ParseFlags(c.args, flags.groups);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.error));
  }
}

TEST(CommandLineTest, TheHelpHasTwoColumns) {
  Recorder flags;
  EXPECT_EQ(FormatFlags(flags.groups),
            "Things:\n"
            "  --path PATH  where it is\n"
            "               and what\n"
            "  --count N    how many\n"
            "\n"
            "Other:\n"
            "  --quiet      say less\n");
}

}  // namespace
}  // namespace skein
