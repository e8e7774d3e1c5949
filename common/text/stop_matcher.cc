#include "common/text/stop_matcher.h"

#include <algorithm>

namespace skein {

StopMatcher::StopMatcher(const std::vector<std::string>& stop_strings) {
  nodes_.emplace_back();
  for (const std::string& stop : stop_strings) {
    int node = 0;
    for (const char c : stop) {
      const auto byte = static_cast<uint8_t>(c);
      const int child = Child(node, byte);
      node = child != 0 ? child : AddChild(node, byte);
    }
    nodes_[node].match_length = nodes_[node].depth;
  }
  LinkFailures();
}

int StopMatcher::Next(int state, uint8_t byte) const {
  while (true) {
    const int child = Child(state, byte);
    if (child != 0 || state == 0) return child;
    state = nodes_[state].fail;
  }
}

int StopMatcher::Child(int node, uint8_t byte) const {
  if (node == 0) return root_[byte];
  int child = nodes_[node].first_child;
  while (child != 0 && nodes_[child].byte != byte) child = nodes_[child].next_sibling;
  return child;
}

int StopMatcher::AddChild(int node, uint8_t byte) {
  const int child = static_cast<int>(nodes_.size());
  Node added;
  added.byte = byte;
  added.depth = nodes_[node].depth + 1;
  added.next_sibling = nodes_[node].first_child;
  nodes_.push_back(added);
  nodes_[node].first_child = child;
  if (node == 0) root_[byte] = child;
  return child;
}

// Breadth first, so that the failure of a node's parent, which is shorter, is known before the
// node's own.
void StopMatcher::LinkFailures() {
  std::vector<int> queue = {0};
  for (size_t i = 0; i < queue.size(); ++i) {
    const int node = queue[i];
    for (int child = nodes_[node].first_child; child != 0; child = nodes_[child].next_sibling) {
      if (node != 0) nodes_[child].fail = Next(nodes_[node].fail, nodes_[child].byte);
      nodes_[child].match_length =
          std::max(nodes_[child].match_length, nodes_[nodes_[child].fail].match_length);
      queue.push_back(child);
    }
  }
}

}  // namespace skein
