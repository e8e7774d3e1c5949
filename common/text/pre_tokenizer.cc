#include "common/text/pre_tokenizer.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

constexpr absl::string_view kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

std::vector<absl::string_view> SplitAll(const Splitter& splitter,
                                        const std::vector<absl::string_view>& pieces) {
  std::vector<absl::string_view> smaller;
  smaller.reserve(pieces.size());
  for (const absl::string_view piece : pieces) splitter.Split(piece, &smaller);
  return smaller;
}

}  // namespace

// Matches and what lies between them, without gaps; a match after `invert` is what lay between.
std::vector<Splitter::Part> Splitter::Parts(absl::string_view text) const {
  std::vector<Part> parts;
  parts.reserve(text.size() / 4 + 1);
  size_t pos = 0;
  Pattern::Matcher matcher(pattern_, text);
  for (Pattern::Match match; matcher.Next(&match);) {
    if (pos < match.begin) parts.push_back({pos, match.begin, invert_});
    parts.push_back({match.begin, match.end, !invert_});
    pos = match.end;
  }
  if (pos < text.size()) parts.push_back({pos, text.size(), invert_});
  return parts;
}

void Splitter::Split(absl::string_view text, std::vector<absl::string_view>* pieces) const {
  std::vector<Part> parts = Parts(text);
  std::vector<Part> kept;
  kept.reserve(parts.size());
  const bool backwards = behavior_ == Behavior::kMergedWithNext;
  if (backwards) std::reverse(parts.begin(), parts.end());
  bool previous_match = false;
  for (const Part& part : parts) {
    bool joins = false;
    switch (behavior_) {
      case Behavior::kRemoved:
        if (part.is_match) continue;
        break;
      case Behavior::kIsolated:
        break;
      case Behavior::kMergedWithPrevious:
      case Behavior::kMergedWithNext:
        joins = part.is_match && !previous_match;
        break;
      case Behavior::kContiguous:
        joins = part.is_match == previous_match;
        break;
    }
    previous_match = part.is_match;
    if (joins && !kept.empty()) {
      kept.back().begin = std::min(kept.back().begin, part.begin);
      kept.back().end = std::max(kept.back().end, part.end);
    } else {
      kept.push_back(part);
    }
  }
  if (backwards) std::reverse(kept.begin(), kept.end());
  for (const Part& part : kept) pieces->push_back(text.substr(part.begin, part.end - part.begin));
}

absl::Status PreTokenizer::UseByteLevelPattern() {
  ASSIGN_OR_RETURN(Pattern pattern, Pattern::Compile(kByteLevelPattern));
  byte_level_split_.clear();
  byte_level_split_.emplace_back(std::move(pattern), Splitter::Behavior::kIsolated, false);
  return absl::OkStatus();
}

PreTokenizer::Pieces PreTokenizer::Split(absl::string_view text) const {
  Pieces pieces;
  if (text.empty()) return pieces;
  pieces.views = {text};
  for (const Splitter& splitter : splits_) pieces.views = SplitAll(splitter, pieces.views);
  if (add_prefix_space_) {
    for (absl::string_view& piece : pieces.views) {
      if (absl::StartsWith(piece, " ")) continue;
      pieces.prefixed.push_back(absl::StrCat(" ", piece));
      piece = pieces.prefixed.back();
    }
  }
  for (const Splitter& splitter : byte_level_split_) {
    pieces.views = SplitAll(splitter, pieces.views);
  }
  return pieces;
}

}  // namespace skein
