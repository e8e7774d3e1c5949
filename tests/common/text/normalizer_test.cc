#include "common/text/normalizer.h"

#include <cstdlib>
#include <random>

#include <utf8proc.h>

#include "gtest/gtest.h"

#include "common/text/utf8.h"
#include "tests/common/text/text_testing.h"

namespace skein {
namespace {

std::string ByUtf8proc(const std::string& text) {
  utf8proc_uint8_t* out = nullptr;
  const auto length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &out,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  EXPECT_GE(length, 0);
  std::string normalized(reinterpret_cast<const char*>(out), static_cast<size_t>(length));
  std::free(out);
  return normalized;
}

TEST(NormalizerTest, ComposesAndOrders) {
  EXPECT_EQ(NormalizeNfc("e\u0301"), "\u00E9");
  EXPECT_EQ(NormalizeNfc("a\u0301\u0323"), "\u1EA1\u0301");
  EXPECT_EQ(NormalizeNfc("\u1100\u1161\u11A8"), "\uAC01");
  EXPECT_EQ(NormalizeNfc("\u212B"), "\u00C5");
  EXPECT_EQ(NormalizeNfc("\u0958"), "\u0915\u093C") << "excluded from composition";
  EXPECT_EQ(NormalizeNfc("plain \xC3\xA9"), "plain \xC3\xA9");
  EXPECT_EQ(NormalizeNfc(absl::string_view("a\0e\u0301", 5)), std::string("a\0\u00E9", 4));
}

TEST(NormalizerTest, EveryCharacterAndRandomTextAsUtf8procDoes) {
  for (char32_t code = 1; code <= 0x10FFFF; ++code) {
    if (code >= 0xD800 && code <= 0xDFFF) continue;
    std::string text;
    AppendUtf8(code, &text);
    ASSERT_EQ(NormalizeNfc(text), ByUtf8proc(text)) << static_cast<uint32_t>(code);
  }
  std::mt19937 random(6);
  for (int i = 0; i < 3000; ++i) {
    const std::string text = RandomText(random, 12);
    ASSERT_EQ(NormalizeNfc(text), ByUtf8proc(text));
  }
}

}  // namespace
}  // namespace skein
