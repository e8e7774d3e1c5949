// An RWKV World vocabulary and a text to encode with it: LINES 1f TEXT. The 256 single bytes, which
// every vocabulary has, stand in front unless LINES starts with '!'.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

#include "common/text/world_tokenizer.h"
#include "tests/fuzz/fuzz.h"

namespace {

using skein::fuzz::Require;
using skein::fuzz::RequireFailure;

constexpr size_t kMaxTextBytes = 256;

const std::string& SingleBytes() {
  static const auto& lines = *new std::string([] {
    std::string text;
    for (int byte = 0; byte < 256; ++byte) {
      absl::StrAppendFormat(&text, "%d b'\\x%02x' 1\n", byte + 1, byte);
    }
    return text;
  }());
  return lines;
}

// Each token is the longest that the text goes on with, and together they are the text.
void CheckEncoding(const skein::WorldTokenizer& tokenizer, absl::string_view text) {
  std::string joined;
  for (const int32_t id : tokenizer.Encode(text, false)) {
    Require(id > 0 && id < tokenizer.vocab_size() && tokenizer.IsToken(id), "ids are tokens");
    const absl::string_view rest = text.substr(joined.size());
    const absl::string_view bytes = tokenizer.TokenBytes(id);
    for (size_t length = bytes.size() + 1; length <= rest.size(); ++length) {
      Require(tokenizer.TokenId(rest.substr(0, length)) < 0, "the longest token comes first");
    }
    joined.append(bytes.data(), bytes.size());
  }
  Require(joined == text, "the tokens of a text are the text", joined);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  skein::fuzz::Parts parts(skein::fuzz::Text(data, size));
  absl::string_view lines = parts.Next();
  const bool alone = absl::ConsumePrefix(&lines, "!");
  const std::string vocabulary = absl::StrCat(alone ? "" : SingleBytes(), lines);
  const auto tokenizer = skein::WorldTokenizer::Create(vocabulary, "vocabulary");
  if (!tokenizer.ok()) {
    RequireFailure(tokenizer.status(), {absl::StatusCode::kInvalidArgument});
    return 0;
  }
  CheckEncoding(**tokenizer, parts.Rest().substr(0, kMaxTextBytes));
  return 0;
}
