// A tokenizer.json, and a text to encode with it: JSON 1f TEXT.
#include <memory>
#include <string>
#include <vector>

#include "common/text/hf_tokenizer.h"
#include "common/text/utf8.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory_file.h"

namespace {

using skein::Tokenizer;
using skein::fuzz::Require;

constexpr size_t kMaxTextBytes = 256;

void CheckEncoding(const Tokenizer& tokenizer, absl::string_view text) {
  for (const bool add_special : {false, true}) {
    const std::vector<int32_t> ids = tokenizer.Encode(text, add_special);
    for (const int32_t id : ids) {
      Require(id >= 0 && id < tokenizer.vocab_size(), "ids are inside the vocabulary");
      Require(tokenizer.IsToken(id), "ids are tokens");
    }
    Require(tokenizer.Encode(text, add_special) == ids, "a text has one encoding");
    const std::string decoded = Decode(tokenizer, ids, /*skip_special=*/false);
    Require(skein::ValidUtf8Prefix(decoded) == decoded.size(), "decoded text is UTF-8", decoded);
  }
}

void CheckTokens(const Tokenizer& tokenizer) {
  for (int64_t i = 0; i < std::min<int64_t>(tokenizer.vocab_size(), 4096); ++i) {
    const auto id = static_cast<int32_t>(i);
    Require(tokenizer.IsToken(id) || tokenizer.TokenBytes(id).empty(), "no token, no bytes");
    Require(tokenizer.IsToken(id) || !tokenizer.IsSpecial(id), "special tokens are tokens");
  }
  for (const int32_t id : {-1, static_cast<int32_t>(tokenizer.vocab_size())}) {
    Require(!tokenizer.IsToken(id) && tokenizer.TokenBytes(id).empty(), "no token outside");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto& file = *new skein::fuzz::MemoryFile();
  skein::fuzz::Parts parts(skein::fuzz::Text(data, size));
  file.Write(parts.Next());
  const auto tokenizer = skein::LoadHfTokenizer(file.path());
  if (!tokenizer.ok()) {
    skein::fuzz::RequireFailure(
        tokenizer.status(), {absl::StatusCode::kInvalidArgument, absl::StatusCode::kUnimplemented});
    return 0;
  }
  CheckTokens(**tokenizer);
  CheckEncoding(**tokenizer, parts.Rest().substr(0, kMaxTextBytes));
  return 0;
}
