// Tokens that are found in a text as they are spelled, before anything else cuts it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "common/text/byte_trie.h"

namespace skein {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // and behind it
  bool normalized = false;   // searched in the normalised text
  bool special = false;      // left out of a reply's text
};

// Immutable and thread-safe once built.
class AddedTokenSplitter {
 public:
  struct Segment {
    absl::string_view text;
    int32_t id;  // -1: text between the tokens
  };

  AddedTokenSplitter() = default;
  explicit AddedTokenSplitter(std::vector<AddedToken> tokens);

  // The segments of `text`, which is valid UTF-8, in order: from left to right the longest token at
  // each place. Text segments are not empty.
  std::vector<Segment> Split(absl::string_view text) const;

 private:
  std::vector<AddedToken> tokens_;
  ByteTrie trie_;  // ids are indices of tokens_
};

}  // namespace skein
