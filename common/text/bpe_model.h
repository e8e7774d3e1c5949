// Byte-pair encoding of one piece of text by ranked merges.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace skein {

// Immutable and thread-safe once built.
class BpeModel {
 public:
  struct Merge {
    int32_t left, right, result;  // token ids
  };
  struct Spec {
    // Bytes of each token that text can become, by id; empty for the others.
    std::vector<std::string> tokens;
    std::vector<Merge> merges;   // by falling priority
    bool ignore_merges = false;  // a piece that is a token becomes that token at once
    int32_t unknown_id = -1;     // for bytes without a token of their own; -1: they are dropped
    bool fuse_unknown = false;   // neighbouring unknown bytes become one unknown_id
  };

  BpeModel() = default;
  explicit BpeModel(const Spec& spec);

  // Appends the ids of `piece`: starting from its bytes, always the neighbours whose merge ranks
  // first, the leftmost of equals. Time n log n in the length of the piece.
  void Encode(absl::string_view piece, std::vector<int32_t>* ids) const;

 private:
  struct Ranked {
    uint32_t rank;
    int32_t result;
  };

  std::vector<int32_t> Symbols(absl::string_view piece) const;
  const Ranked* FindMerge(int32_t left, int32_t right) const;
  void MergeShort(std::vector<int32_t>* symbols) const;
  void MergeLong(std::vector<int32_t>* symbols) const;

  std::array<int32_t, 256> byte_ids_ = {};  // -1: none
  int32_t unknown_id_ = -1;
  bool fuse_unknown_ = false;
  absl::flat_hash_map<uint64_t, Ranked> merges_;
  // Pieces that are known to become one token: most words of a text.
  absl::flat_hash_map<std::string, int32_t> whole_;
};

}  // namespace skein
