#include "common/text/byte_level.h"

#include <array>
#include <cstdint>

#include "common/text/utf8.h"

namespace skein {
namespace {

constexpr char32_t kShifted =
    0x100;  // the first character for the bytes that cannot stand for themselves

struct Alphabet {
  std::array<char32_t, 256> character;
  std::array<int16_t, kShifted + 68> byte;  // by character, -1 for none
};

constexpr bool StandsForItself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr Alphabet MakeAlphabet() {
  Alphabet alphabet = {};
  for (auto& byte : alphabet.byte) byte = -1;
  char32_t next = kShifted;
  for (int byte = 0; byte < 256; ++byte) {
    alphabet.character[byte] = StandsForItself(byte) ? static_cast<char32_t>(byte) : next++;
    alphabet.byte[alphabet.character[byte]] = static_cast<int16_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = MakeAlphabet();

}  // namespace

std::optional<std::string> FromByteLevel(absl::string_view text) {
  std::string bytes;
  while (!text.empty()) {
    const Utf8Char c = FirstUtf8Char(text);
    if (c.kind != Utf8Char::kValid || c.code >= kAlphabet.byte.size() ||
        kAlphabet.byte[c.code] < 0) {
      return std::nullopt;
    }
    bytes.push_back(static_cast<char>(kAlphabet.byte[c.code]));
    text.remove_prefix(c.length);
  }
  return bytes;
}

std::string ToByteLevel(absl::string_view bytes) {
  std::string text;
  for (const char byte : bytes) AppendUtf8(kAlphabet.character[static_cast<uint8_t>(byte)], &text);
  return text;
}

}  // namespace skein
