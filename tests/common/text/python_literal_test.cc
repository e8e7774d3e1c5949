#include "common/text/python_literal.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

TEST(PythonLiteralTest, ReadsWhatVocabulariesContain) {
  struct Case {
    const char* literal;
    std::string bytes;
  };
  for (const Case& c : {
           Case{"'a b'", "a b"},
           Case{"\"it's\"", "it's"},
           Case{R"('\n\t\r\\\'\"')", "\n\t\r\\'\""},
           Case{R"('\x80')", "\xC2\x80"},
           Case{R"('\u65e5\U0001f600')", "\xE6\x97\xA5\xF0\x9F\x98\x80"},
           Case{"'\xE6\x97\xA5'", "\xE6\x97\xA5"},
           Case{R"(b'\xe6\x97')", "\xE6\x97"},
           Case{R"(b"a'\x00")", std::string("a'\0", 3)},
           Case{"''", ""},
       }) {
    SCOPED_TRACE(c.literal);
    const auto bytes = ParsePythonLiteral(c.literal);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    EXPECT_EQ(*bytes, c.bytes);
  }
}

TEST(PythonLiteralTest, RefusesEverythingElse) {
  struct Case {
    const char* literal;
    const char* message;
  };
  for (const Case& c : {
           Case{"", "not in quotes"},
           Case{"'", "not in quotes"},
           Case{"abc", "not in quotes"},
           Case{"'abc\"", "not in quotes"},
           Case{"f'abc'", "not in quotes"},
           Case{"'a'b'", "a quote inside"},
           Case{R"('a\')", "an unknown escape"},
           Case{R"('\q')", "an unknown escape"},
           Case{R"('\N{DASH}')", "an unknown escape"},
           Case{R"('\x1')", "2 hexadecimal digits"},
           Case{R"('\x+1')", "2 hexadecimal digits"},
           Case{R"('\u12g4')", "4 hexadecimal digits"},
           Case{R"('\ud800')", "is no character"},
           Case{R"('\U00110000')", "is no character"},
           Case{R"(b'\u1234')", "in a bytes literal"},
           Case{"b'\xE6\x97\xA5'", "in a bytes literal"},
           Case{"'\xE6\x97'", "not UTF-8"},
       }) {
    SCOPED_TRACE(c.literal);
    const auto bytes = ParsePythonLiteral(c.literal);
    ASSERT_EQ(bytes.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(bytes.status().message()), ::testing::HasSubstr(c.message));
  }
}

}  // namespace
}  // namespace skein
