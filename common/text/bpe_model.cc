#include "common/text/bpe_model.h"

#include <limits>
#include <queue>

namespace skein {
namespace {

// Up to here looking at all pairs for each merge is faster than a heap.
constexpr size_t kShort = 48;
constexpr uint32_t kNoRank = std::numeric_limits<uint32_t>::max();

uint64_t PairKey(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
}

// A merge that was possible when it was queued.
struct Candidate {
  uint32_t rank;
  uint32_t pos;
  int32_t left, right, result;

  // For a heap with the best on top.
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : pos > other.pos;
  }
};

// Symbols as a list, so that a merge does not move what follows it.
struct Node {
  int32_t id;  // -1: merged into the one before
  int32_t previous, next;
};

}  // namespace

BpeModel::BpeModel(const Spec& spec)
    : unknown_id_(spec.unknown_id), fuse_unknown_(spec.fuse_unknown) {
  byte_ids_.fill(-1);
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    const std::string& token = spec.tokens[id];
    if (token.size() == 1) byte_ids_[static_cast<uint8_t>(token[0])] = static_cast<int32_t>(id);
  }
  merges_.reserve(spec.merges.size());
  for (size_t rank = 0; rank < spec.merges.size(); ++rank) {
    const Merge& merge = spec.merges[rank];
    merges_[PairKey(merge.left, merge.right)] = {static_cast<uint32_t>(rank), merge.result};
  }
  whole_.reserve(spec.tokens.size());
  std::vector<int32_t> ids;
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    const std::string& token = spec.tokens[id];
    if (token.empty()) continue;
    ids.clear();
    if (!spec.ignore_merges) Encode(token, &ids);
    const bool becomes_itself = ids.size() == 1 && ids[0] == static_cast<int32_t>(id);
    if (spec.ignore_merges || becomes_itself) whole_.emplace(token, static_cast<int32_t>(id));
  }
}

void BpeModel::Encode(absl::string_view piece, std::vector<int32_t>* ids) const {
  const auto whole = whole_.find(piece);
  if (whole != whole_.end()) {
    ids->push_back(whole->second);
    return;
  }
  std::vector<int32_t> symbols = Symbols(piece);
  if (symbols.size() <= kShort) {
    MergeShort(&symbols);
  } else {
    MergeLong(&symbols);
  }
  ids->insert(ids->end(), symbols.begin(), symbols.end());
}

std::vector<int32_t> BpeModel::Symbols(absl::string_view piece) const {
  std::vector<int32_t> symbols;
  symbols.reserve(piece.size());
  bool last_unknown = false;
  for (const char byte : piece) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(byte)];
    const bool unknown = id < 0;
    const bool fused = unknown && last_unknown && fuse_unknown_;
    last_unknown = unknown;
    if (!unknown) {
      symbols.push_back(id);
    } else if (unknown_id_ >= 0 && !fused) {
      symbols.push_back(unknown_id_);
    }
  }
  return symbols;
}

const BpeModel::Ranked* BpeModel::FindMerge(int32_t left, int32_t right) const {
  const auto found = merges_.find(PairKey(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void BpeModel::MergeShort(std::vector<int32_t>* symbols) const {
  std::array<Ranked, kShort> pairs;  // of symbols i and i + 1
  size_t count = symbols->size();
  const auto look_up = [&](size_t i) {
    const Ranked* merge = FindMerge((*symbols)[i], (*symbols)[i + 1]);
    pairs[i] = merge == nullptr ? Ranked{kNoRank, -1} : *merge;
  };
  for (size_t i = 0; i + 1 < count; ++i) look_up(i);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (pairs[i].rank < pairs[best].rank) best = i;
    }
    if (pairs[best].rank == kNoRank) break;
    (*symbols)[best] = pairs[best].result;
    for (size_t i = best + 1; i + 1 < count; ++i) {
      (*symbols)[i] = (*symbols)[i + 1];
      pairs[i] = pairs[i + 1];
    }
    --count;
    if (best + 1 < count) look_up(best);
    if (best > 0) look_up(best - 1);
  }
  symbols->resize(count);
}

void BpeModel::MergeLong(std::vector<int32_t>* symbols) const {
  const auto count = static_cast<int32_t>(symbols->size());
  std::vector<Node> nodes(count);
  std::priority_queue<Candidate> queue;
  const auto push = [&](int32_t left, int32_t right) {
    if (left < 0 || right >= count) return;
    const Ranked* merge = FindMerge(nodes[left].id, nodes[right].id);
    if (merge == nullptr) return;
    queue.push(
        {merge->rank, static_cast<uint32_t>(left), nodes[left].id, nodes[right].id, merge->result});
  };
  for (int32_t i = 0; i < count; ++i) nodes[i] = {(*symbols)[i], i - 1, i + 1};
  for (int32_t i = 0; i + 1 < count; ++i) push(i, i + 1);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Node& node = nodes[best.pos];
    // An earlier merge may have taken either of the two.
    if (node.id != best.left || node.next >= count || nodes[node.next].id != best.right) continue;
    Node& gone = nodes[node.next];
    node.id = best.result;
    node.next = gone.next;
    gone.id = -1;
    if (node.next < count) nodes[node.next].previous = static_cast<int32_t>(best.pos);
    push(node.previous, static_cast<int32_t>(best.pos));
    push(static_cast<int32_t>(best.pos), node.next);
  }
  symbols->clear();
  for (int32_t i = 0; i < count; i = nodes[i].next) symbols->push_back(nodes[i].id);
}

}  // namespace skein
