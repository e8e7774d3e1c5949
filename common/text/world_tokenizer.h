// The tokenizer of the RWKV World models: the longest vocabulary entry first, on raw bytes
// (docs/tokenizers.md).
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "common/text/byte_trie.h"
#include "common/text/tokenizer.h"

namespace skein {

// Token 0 ends a text: it is special, has no bytes, and no text encodes to it.
class WorldTokenizer final : public Tokenizer {
 public:
  // `vocabulary` is the text of the file: a line per token, `ID LITERAL LENGTH`, LITERAL as Python
  // writes a string or bytes. InvalidArgument, naming the line, if it is damaged; all 256 single
  // bytes must be there. `name` begins the messages.
  static absl::StatusOr<std::unique_ptr<WorldTokenizer>> Create(absl::string_view vocabulary,
                                                                absl::string_view name);

  std::vector<int32_t> Encode(absl::string_view text, bool add_special) const override;
  absl::string_view TokenBytes(int32_t id) const override;
  bool IsSpecial(int32_t id) const override { return id == 0; }
  bool IsToken(int32_t id) const override { return id == 0 || !TokenBytes(id).empty(); }
  int64_t vocab_size() const override { return static_cast<int64_t>(bytes_.size()); }
  int32_t TokenId(absl::string_view text) const override;

 private:
  WorldTokenizer(std::vector<std::string> bytes, ByteTrie trie,
                 absl::flat_hash_map<std::string, int32_t> ids)
      : bytes_(std::move(bytes)), trie_(std::move(trie)), ids_(std::move(ids)) {}

  std::vector<std::string> bytes_;  // by id; empty where there is no token
  ByteTrie trie_;
  absl::flat_hash_map<std::string, int32_t> ids_;
};

}  // namespace skein
