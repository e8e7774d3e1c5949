#include "common/text/hf_tokenizer.h"

#include "common/text/normalizer.h"
#include "common/text/utf8.h"

namespace skein {

std::vector<int32_t> HfTokenizer::Encode(absl::string_view text, bool add_special) const {
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  if (add_special) ids = parts_.prefix;
  while (!text.empty()) {
    const size_t valid = ValidUtf8Prefix(text);
    if (valid > 0) EncodeValid(text.substr(0, valid), &ids);
    text.remove_prefix(valid);
    if (text.empty()) break;
    const size_t invalid = FirstUtf8Char(text).length;
    parts_.model.Encode(text.substr(0, invalid), &ids);
    text.remove_prefix(invalid);
  }
  if (add_special) ids.insert(ids.end(), parts_.suffix.begin(), parts_.suffix.end());
  return ids;
}

void HfTokenizer::EncodeValid(absl::string_view text, std::vector<int32_t>* ids) const {
  for (const AddedTokenSplitter::Segment& raw : parts_.raw_added.Split(text)) {
    if (raw.id >= 0) {
      ids->push_back(raw.id);
      continue;
    }
    const std::string normalized = parts_.nfc ? NormalizeNfc(raw.text) : std::string(raw.text);
    for (const AddedTokenSplitter::Segment& segment : parts_.normalized_added.Split(normalized)) {
      if (segment.id >= 0) {
        ids->push_back(segment.id);
      } else {
        EncodeSegment(segment.text, ids);
      }
    }
  }
}

void HfTokenizer::EncodeSegment(absl::string_view text, std::vector<int32_t>* ids) const {
  const PreTokenizer::Pieces pieces = parts_.pre_tokenizer.Split(text);
  for (const absl::string_view piece : pieces.views) parts_.model.Encode(piece, ids);
}

int32_t HfTokenizer::TokenId(absl::string_view text) const {
  const auto found = parts_.ids.find(text);
  return found == parts_.ids.end() ? -1 : found->second;
}

const HfTokenizer::Token& HfTokenizer::At(int32_t id) const {
  static const Token& none = *new Token();
  return id < 0 || static_cast<size_t>(id) >= parts_.tokens.size() ? none : parts_.tokens[id];
}

}  // namespace skein
