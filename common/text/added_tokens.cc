#include "common/text/added_tokens.h"

#include <algorithm>

#include <utf8proc.h>

#include "common/text/utf8.h"

namespace skein {
namespace {

// Letters, marks, decimal and letter numbers, connecting punctuation, the two joiners.
bool IsWordCharacter(char32_t code) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return code == 0x200C || code == 0x200D;
  }
}

bool TouchesWord(absl::string_view before, absl::string_view after) {
  return (!before.empty() && IsWordCharacter(LastUtf8Char(before).code)) ||
         (!after.empty() && IsWordCharacter(FirstUtf8Char(after).code));
}

size_t TrailingSpace(absl::string_view text) {
  size_t length = 0;
  while (length < text.size()) {
    const Utf8Char c = LastUtf8Char(text.substr(0, text.size() - length));
    if (!IsWhiteSpace(c.code)) break;
    length += c.length;
  }
  return length;
}

size_t LeadingSpace(absl::string_view text) {
  size_t length = 0;
  while (length < text.size()) {
    const Utf8Char c = FirstUtf8Char(text.substr(length));
    if (!IsWhiteSpace(c.code)) break;
    length += c.length;
  }
  return length;
}

ByteTrie MakeTrie(const std::vector<AddedToken>& tokens) {
  std::vector<std::pair<std::string, int32_t>> strings;
  for (size_t i = 0; i < tokens.size(); ++i) {
    strings.emplace_back(tokens[i].content, static_cast<int32_t>(i));
  }
  return ByteTrie(std::move(strings));
}

}  // namespace

AddedTokenSplitter::AddedTokenSplitter(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), trie_(MakeTrie(tokens_)) {}

std::vector<AddedTokenSplitter::Segment> AddedTokenSplitter::Split(absl::string_view text) const {
  std::vector<Segment> segments;
  size_t done = 0;  // text before is in `segments`
  for (size_t pos = 0; pos < text.size();) {
    const ByteTrie::Match match = trie_.LongestMatch(text.substr(pos));
    if (match.id < 0) {
      ++pos;
      continue;
    }
    const AddedToken& token = tokens_[match.id];
    size_t begin = pos;
    size_t end = pos + match.length;
    pos = end;
    if (token.single_word && TouchesWord(text.substr(0, begin), text.substr(end))) continue;
    if (token.lstrip) begin -= TrailingSpace(text.substr(done, begin - done));
    if (token.rstrip) pos = end += LeadingSpace(text.substr(end));
    if (done < begin) segments.push_back({text.substr(done, begin - done), -1});
    segments.push_back({text.substr(begin, end - begin), token.id});
    done = end;
  }
  if (done < text.size()) segments.push_back({text.substr(done), -1});
  return segments;
}

}  // namespace skein
