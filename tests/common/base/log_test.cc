#include "common/base/log.h"

#include <limits>

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

TEST(LogTest, AJsonLineIsAnObjectWithNumbersAsNumbers) {
  EXPECT_EQ(JsonLogLine("2026-01-02T03:04:05.678Z", "info", "model loaded",
                        {{"model", "demo"}, {"bytes", 12}, {"ms", 0.25}, {"last", true}}),
            R"({"time":"2026-01-02T03:04:05.678Z","level":"info","event":"model loaded",)"
            R"("model":"demo","bytes":12,"ms":0.25,"last":true})");
}

TEST(LogTest, AnyBytesMakeValidJson) {
  struct Case {
    absl::string_view value;
    const char* written;
  };
  for (const Case& c : {
           Case{"", R"("")"},
           Case{R"(say "hi" \ now)", R"("say \"hi\" \\ now")"},
           Case{"two\nlines\t\x7f", R"("two\nlines\u0009\u007f")"},
           Case{absl::string_view("a\0b", 3), R"("a\u0000b")"},
           Case{"caf\xC3\xA9 \xF0\x9F\x98\x80", "\"caf\xC3\xA9 \xF0\x9F\x98\x80\""},
           Case{"cut \xC3", "\"cut \xEF\xBF\xBD\""},
           Case{"\xFF!", "\"\xEF\xBF\xBD!\""},
           Case{"\xC0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},                  // too long a form
           Case{"\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},  // a surrogate
           Case{"\xF4\x90\x80\x80",
                "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},  // beyond
           Case{"\xE2\x82", "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
       }) {
    EXPECT_EQ(JsonLogLine("", "error", "e", {{"k", c.value}}),
              std::string(R"({"level":"error","event":"e","k":)") + c.written + "}");
  }
  EXPECT_EQ(JsonLogLine("", "error", "e", {{"k", std::numeric_limits<double>::infinity()}}),
            R"({"level":"error","event":"e","k":"inf"})");
}

TEST(LogTest, TheFormatIsSetByName) {
  ASSERT_TRUE(SetLogFormat("json").ok());
  EXPECT_EQ(FormatLogLine(LogLevel::kInfo, "e", {}), R"({"level":"info","event":"e"})");
  EXPECT_EQ(SetLogFormat("xml").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FormatLogLine(LogLevel::kInfo, "e", {}), R"({"level":"info","event":"e"})")
      << "an unknown name changes nothing";
  ASSERT_TRUE(SetLogFormat("text").ok());
  EXPECT_EQ(FormatLogLine(LogLevel::kInfo, "e", {{"n", 7}}), "level=info event=\"e\" n=7");
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
