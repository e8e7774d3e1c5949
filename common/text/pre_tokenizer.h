// Cuts text into the pieces within which a BPE model merges.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "common/text/pattern.h"

namespace skein {

// One `Split` of a tokenizer.json. Immutable and thread-safe.
class Splitter {
 public:
  enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

  // With `invert`, what lies between the matches counts as the matches.
  Splitter(Pattern pattern, Behavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}

  // Appends the pieces of `text`, which is valid UTF-8; none is empty.
  void Split(absl::string_view text, std::vector<absl::string_view>* pieces) const;

 private:
  struct Part {
    size_t begin, end;
    bool is_match;
  };
  std::vector<Part> Parts(absl::string_view text) const;

  Pattern pattern_;
  Behavior behavior_;
  bool invert_;
};

// Splits one after another, each within the pieces of the one before, then ByteLevel, which comes
// last. Immutable and thread-safe once built.
class PreTokenizer {
 public:
  // Pieces of one text. They point into the text, or into `prefixed`.
  struct Pieces {
    std::vector<absl::string_view> views;
    std::deque<std::string> prefixed;
  };

  void AddSplit(Splitter splitter) { splits_.push_back(std::move(splitter)); }
  // A blank in front of each piece that does not begin with one.
  void set_add_prefix_space(bool add) { add_prefix_space_ = add; }
  // After the blank: GPT-2's own pattern.
  absl::Status UseByteLevelPattern();

  Pieces Split(absl::string_view text) const;

 private:
  std::vector<Splitter> splits_;
  bool add_prefix_space_ = false;
  std::vector<Splitter> byte_level_split_;  // one at most
};

}  // namespace skein
