// Finds stop strings in a stream of bytes: an Aho-Corasick automaton.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace skein {

// Immutable and thread-safe. A state is a position in one stream; streams start in state 0.
// Time per byte is constant on average, memory is proportional to the total length of the stop
// strings.
class StopMatcher {
 public:
  // Empty stop strings are ignored.
  explicit StopMatcher(const std::vector<std::string>& stop_strings);

  int Next(int state, uint8_t byte) const;
  // Length of the longest end of the stream that begins a stop string (or is one).
  int depth(int state) const { return nodes_[state].depth; }
  // Length of the longest stop string that the stream ends with; 0 for none.
  int match_length(int state) const { return nodes_[state].match_length; }

 private:
  struct Node {
    int first_child = 0;  // 0: none
    int next_sibling = 0;
    int fail = 0;  // the longest proper end of this node's string that is a node
    int depth = 0;
    int match_length = 0;
    uint8_t byte = 0;
  };

  int Child(int node, uint8_t byte) const;
  int AddChild(int node, uint8_t byte);
  void LinkFailures();

  std::vector<Node> nodes_;
  std::array<int, 256> root_ = {};  // children of node 0, which most bytes ask for
};

}  // namespace skein
