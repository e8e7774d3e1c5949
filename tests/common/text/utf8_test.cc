#include "common/text/utf8.h"

#include <random>

#include "gtest/gtest.h"

#include "tests/common/text/text_testing.h"

namespace skein {
namespace {

TEST(Utf8Test, EveryScalarValueComesBack) {
  for (char32_t code = 0; code <= 0x10FFFF; ++code) {
    if (code >= 0xD800 && code <= 0xDFFF) continue;
    std::string text;
    AppendUtf8(code, &text);
    const Utf8Char c = FirstUtf8Char(text);
    ASSERT_EQ(c.kind, Utf8Char::kValid) << static_cast<uint32_t>(code);
    ASSERT_EQ(c.code, code);
    ASSERT_EQ(c.length, text.size());
    ASSERT_EQ(LastUtf8Char("x" + text).code, code);
  }
}

TEST(Utf8Test, OneReplacementPerMaximalInvalidPart) {
  struct Case {
    const char* name;
    std::string bytes, text;
  };
  const std::string r(kReplacement);
  for (const Case& c : {
           Case{"lone continuation bytes", "a\x80\xBF", "a" + r + r},
           Case{"cut three-byte character", "\xE3\x81z", r + "z"},
           Case{"surrogate", "\xED\xA0\x80", r + r + r},
           Case{"overlong", "\xC0\xAF\xE0\x80\xAF", r + r + r + r + r},
           Case{"beyond U+10FFFF", "\xF4\x90\x80\x80", r + r + r + r},
           Case{"cut four-byte character, then a whole one", "\xF0\x9F\x98\xF0\x9F\x98\x80",
                r + "\xF0\x9F\x98\x80"},
           Case{"incomplete at the end", "a\xF0\x9F\x98", "a" + r},
           Case{"lead byte that never is", "\xFFz\xF5", r + "z" + r},
           Case{"valid", "\xC3\xA9", "\xC3\xA9"},
       }) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(ReplaceInvalidUtf8(c.bytes), c.text);
  }
}

TEST(Utf8Test, ReplacedTextIsValidAndValidTextUnchanged) {
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    const std::string replaced = ReplaceInvalidUtf8(RandomBytes(random, 30));
    EXPECT_EQ(ValidUtf8Prefix(replaced), replaced.size());
    EXPECT_EQ(ReplaceInvalidUtf8(replaced), replaced);
  }
}

TEST(Utf8Test, IncompleteIsNotInvalid) {
  EXPECT_EQ(FirstUtf8Char("\xE3\x81").kind, Utf8Char::kIncomplete);
  EXPECT_EQ(FirstUtf8Char("\xE3").kind, Utf8Char::kIncomplete);
  EXPECT_EQ(FirstUtf8Char("\xE3z").kind, Utf8Char::kInvalid);
  EXPECT_EQ(FirstUtf8Char("\xED\xA0").kind, Utf8Char::kInvalid);
}

TEST(Utf8Test, WhiteSpaceIsThatOfUnicode) {
  int count = 0;
  for (char32_t code = 0; code <= 0x10FFFF; ++code) count += IsWhiteSpace(code) ? 1 : 0;
  EXPECT_EQ(count, 25);
  for (const char32_t code : {0x1C, 0x180E, 0x200B, 0xFEFF}) EXPECT_FALSE(IsWhiteSpace(code));
}

}  // namespace
}  // namespace skein
