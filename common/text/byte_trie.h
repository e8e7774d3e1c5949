// Finds the longest of a fixed set of byte strings at the start of a text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace skein {

// Immutable and thread-safe once built. 40 bytes per node.
class ByteTrie {
 public:
  struct Match {
    int32_t id = -1;  // -1: none
    size_t length = 0;
  };

  ByteTrie() = default;  // matches nothing
  // Strings and their ids, which are not negative. Empty strings are ignored; of equal strings the
  // first counts.
  explicit ByteTrie(std::vector<std::pair<std::string, int32_t>> strings);

  Match LongestMatch(absl::string_view text) const;

 private:
  // Children of a node stand next to each other, in the order of their bytes.
  struct Node {
    std::array<uint64_t, 4> has_child = {};  // a bit per byte
    uint32_t first_child = 0;
    int32_t id = -1;
  };

  std::vector<Node> nodes_;
  std::array<uint32_t, 256> root_ = {};  // child of the root for each byte, 0 for none
};

}  // namespace skein
