// A tokenizer whose tokens are the 256 bytes, and one special token: what a test can read off.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/text/tokenizer.h"

namespace skein {

class ByteTokenizer final : public Tokenizer {
 public:
  static constexpr int32_t kEnd = 256;  // "<end>"
  static constexpr int64_t kVocabSize = 257;

  ByteTokenizer();

  // With `add_special`, kEnd is put in front.
  std::vector<int32_t> Encode(absl::string_view text, bool add_special) const override;
  absl::string_view TokenBytes(int32_t id) const override;
  bool IsSpecial(int32_t id) const override { return id == kEnd; }
  bool IsToken(int32_t id) const override { return id >= 0 && id < kVocabSize; }
  int64_t vocab_size() const override { return kVocabSize; }
  int32_t TokenId(absl::string_view text) const override;

 private:
  std::string bytes_;
};

}  // namespace skein
