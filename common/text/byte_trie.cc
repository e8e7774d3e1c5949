#include "common/text/byte_trie.h"

#include <algorithm>
#include <bit>

namespace skein {
namespace {

// A node to be filled: the sorted strings [begin, end) share their first `depth` bytes, which lead
// to it.
struct Range {
  size_t begin, end, depth;
};

}  // namespace

ByteTrie::ByteTrie(std::vector<std::pair<std::string, int32_t>> strings) {
  std::stable_sort(strings.begin(), strings.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Range> ranges = {{0, strings.size(), 0}};  // of nodes_[i] at i
  nodes_.emplace_back();
  for (size_t node = 0; node < ranges.size(); ++node) {
    auto [begin, end, depth] = ranges[node];
    for (; begin < end && strings[begin].first.size() == depth; ++begin) {
      if (depth > 0 && nodes_[node].id < 0) nodes_[node].id = strings[begin].second;
    }
    nodes_[node].first_child = static_cast<uint32_t>(nodes_.size());
    while (begin < end) {
      const auto byte = static_cast<uint8_t>(strings[begin].first[depth]);
      size_t next = begin + 1;
      while (next < end && static_cast<uint8_t>(strings[next].first[depth]) == byte) ++next;
      nodes_[node].has_child[byte / 64] |= uint64_t{1} << (byte % 64);
      if (node == 0) root_[byte] = static_cast<uint32_t>(nodes_.size());
      nodes_.emplace_back();
      ranges.push_back({begin, next, depth + 1});
      begin = next;
    }
  }
}

ByteTrie::Match ByteTrie::LongestMatch(absl::string_view text) const {
  Match longest;
  if (text.empty()) return longest;
  uint32_t index = root_[static_cast<uint8_t>(text[0])];
  for (size_t length = 1; index != 0; ++length) {
    const Node& node = nodes_[index];
    if (node.id >= 0) longest = {node.id, length};
    if (length == text.size()) break;
    const auto byte = static_cast<uint8_t>(text[length]);
    const int word = byte / 64;
    const uint64_t bit = uint64_t{1} << (byte % 64);
    if ((node.has_child[word] & bit) == 0) break;
    index = node.first_child + std::popcount(node.has_child[word] & (bit - 1));
    for (int i = 0; i < word; ++i) index += std::popcount(node.has_child[i]);
  }
  return longest;
}

}  // namespace skein
