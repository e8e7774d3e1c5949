// Text to token ids and back.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace skein {

// Immutable and thread-safe once loaded.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Ids of `text`, bytes of any kind. With `add_special`, what the tokenizer's post-processor adds
  // (bos, eos) is added; a chat format writes its special tokens itself and asks for none.
  virtual std::vector<int32_t> Encode(absl::string_view text, bool add_special) const = 0;

  // Raw bytes that `id` adds to a text; empty for ids without a token.
  virtual absl::string_view TokenBytes(int32_t id) const = 0;
  // Of an added token marked special, such as <|im_end|>: left out of a reply's text.
  virtual bool IsSpecial(int32_t id) const = 0;
  // False for ids that no token has: rows that only pad the model's vocabulary. They must never be
  // sampled.
  virtual bool IsToken(int32_t id) const = 0;

  // One more than the largest id.
  virtual int64_t vocab_size() const = 0;
  // The id whose whole text is `text`, or -1: how names of special tokens in config files become
  // ids.
  virtual int32_t TokenId(absl::string_view text) const = 0;
};

// Bytes of `ids` joined, invalid UTF-8 replaced by U+FFFD, one per maximal invalid part.
std::string Decode(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip_special);

// A file by its content: a Hugging Face tokenizer.json or an RWKV World vocabulary. InvalidArgument
// if it is damaged; Unimplemented, naming the part, if it needs something that skein does not have.
absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(const std::string& path);

}  // namespace skein
