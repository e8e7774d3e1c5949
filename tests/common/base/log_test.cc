#include "common/base/log.h"

#include "gtest/gtest.h"

namespace skein {
namespace {

TEST(LogTest, LinesAreKeysAndValues) {
  EXPECT_EQ(FormatLogLine(LogLevel::kInfo, "model loaded", {{"model", "demo"}, {"bytes", "12"}}),
            "level=info event=\"model loaded\" model=demo bytes=12");
}

TEST(LogTest, ValuesThatWouldBreakTheLineAreQuoted) {
  struct Case {
    const char* value;
    const char* written;
  };
  for (const Case& c : {
           Case{"", "k=\"\""},
           Case{"a b", "k=\"a b\""},
           Case{"a=b", "k=\"a=b\""},
           Case{"say \"hi\"", "k=\"say \\\"hi\\\"\""},
           Case{"two\nlines", "k=\"two\\nlines\""},
           Case{"back\\slash", "k=\"back\\\\slash\""},
           Case{"caf\xC3\xA9", "k=caf\xC3\xA9"},
       }) {
    EXPECT_EQ(FormatLogLine(LogLevel::kError, "e", {{"k", c.value}}),
              std::string("level=error event=\"e\" ") + c.written);
  }
}

TEST(LogTest, TheLevelIsSetByName) {
  ASSERT_TRUE(SetLogLevel("warning").ok());
  EXPECT_FALSE(LogEnabled(LogLevel::kInfo));
  EXPECT_TRUE(LogEnabled(LogLevel::kWarning));
  ASSERT_TRUE(SetLogLevel("debug").ok());
  EXPECT_TRUE(LogEnabled(LogLevel::kDebug));
  EXPECT_EQ(SetLogLevel("loud").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(LogEnabled(LogLevel::kDebug)) << "an unknown name changes nothing";
  ASSERT_TRUE(SetLogLevel("info").ok());
}

}  // namespace
}  // namespace skein
