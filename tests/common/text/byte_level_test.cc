#include "common/text/byte_level.h"

#include "gtest/gtest.h"

namespace skein {
namespace {

TEST(ByteLevelTest, EveryByteHasItsOwnCharacter) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string bytes(1, static_cast<char>(byte));
    EXPECT_EQ(FromByteLevel(ToByteLevel(bytes)), bytes);
  }
}

TEST(ByteLevelTest, KnownCharacters) {
  EXPECT_EQ(ToByteLevel(" "), "\u0120");
  EXPECT_EQ(ToByteLevel("\n"), "\u010A");
  EXPECT_EQ(ToByteLevel("a~"), "a~");
  EXPECT_EQ(ToByteLevel("\xAD"), "\u0143");
  EXPECT_EQ(ToByteLevel("\xFF"), "\u00FF");
}

TEST(ByteLevelTest, CharactersOutsideOfTheAlphabetAreRefused) {
  for (const char* text : {" ", "a b", "\u0144", "\u65E5", "\xFF", "\u00AD"}) {
    EXPECT_FALSE(FromByteLevel(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace skein
