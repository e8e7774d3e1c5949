// Byte-level BPE as a Hugging Face tokenizer.json describes it (docs/tokenizers.md).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "common/text/added_tokens.h"
#include "common/text/bpe_model.h"
#include "common/text/pre_tokenizer.h"
#include "common/text/tokenizer.h"

namespace skein {

// Added tokens are cut out, the text between them is normalised and cut into pieces, each piece is
// merged. Bytes that are not UTF-8 pass by all that: they become the tokens of their bytes, and
// decode to themselves.
class HfTokenizer final : public Tokenizer {
 public:
  enum class Kind : uint8_t { kNone, kText, kSpecial };
  struct Token {
    Kind kind = Kind::kNone;
    std::string bytes;
  };
  // What the file says, put into the form that the work needs.
  struct Parts {
    std::vector<Token> tokens;  // by id
    absl::flat_hash_map<std::string, int32_t> ids;
    BpeModel model;
    AddedTokenSplitter raw_added, normalized_added;
    bool nfc = false;
    PreTokenizer pre_tokenizer;
    std::vector<int32_t> prefix, suffix;  // of the post-processor
  };

  explicit HfTokenizer(Parts parts) : parts_(std::move(parts)) {}

  std::vector<int32_t> Encode(absl::string_view text, bool add_special) const override;
  absl::string_view TokenBytes(int32_t id) const override { return At(id).bytes; }
  bool IsSpecial(int32_t id) const override { return At(id).kind == Kind::kSpecial; }
  bool IsToken(int32_t id) const override { return At(id).kind != Kind::kNone; }
  int64_t vocab_size() const override { return static_cast<int64_t>(parts_.tokens.size()); }
  int32_t TokenId(absl::string_view text) const override;

 private:
  const Token& At(int32_t id) const;
  void EncodeValid(absl::string_view text, std::vector<int32_t>* ids) const;
  void EncodeSegment(absl::string_view text, std::vector<int32_t>* ids) const;

  const Parts parts_;
};

// `path` is a tokenizer.json; the added_tokens_decoder of a tokenizer_config.json beside it is
// united with its added tokens, and counts where the two differ in flags. Errors as LoadTokenizer;
// Unimplemented names all missing parts.
absl::StatusOr<std::unique_ptr<Tokenizer>> LoadHfTokenizer(const std::string& path);

}  // namespace skein
