#include "tests/testing/byte_tokenizer.h"

namespace skein {
namespace {

constexpr absl::string_view kEndText = "<end>";

}  // namespace

ByteTokenizer::ByteTokenizer() {
  for (int byte = 0; byte < 256; ++byte) bytes_.push_back(static_cast<char>(byte));
}

std::vector<int32_t> ByteTokenizer::Encode(absl::string_view text, bool add_special) const {
  std::vector<int32_t> ids;
  if (add_special) ids.push_back(kEnd);
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

absl::string_view ByteTokenizer::TokenBytes(int32_t id) const {
  if (id == kEnd) return kEndText;
  return IsToken(id) ? absl::string_view(bytes_).substr(id, 1) : absl::string_view();
}

int32_t ByteTokenizer::TokenId(absl::string_view text) const {
  if (text == kEndText) return kEnd;
  return text.size() == 1 ? static_cast<unsigned char>(text[0]) : -1;
}

}  // namespace skein
