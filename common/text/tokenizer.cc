#include "common/text/tokenizer.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/text/hf_tokenizer.h"
#include "common/text/json.h"
#include "common/text/utf8.h"
#include "common/text/world_tokenizer.h"

namespace skein {

std::string Decode(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip_special) {
  std::string bytes;
  for (const int32_t id : ids) {
    if (skip_special && tokenizer.IsSpecial(id)) continue;
    const absl::string_view token = tokenizer.TokenBytes(id);
    bytes.append(token.data(), token.size());
  }
  return ReplaceInvalidUtf8(bytes);
}

absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  const absl::string_view content = absl::StripLeadingAsciiWhitespace(text);
  if (content.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": an empty file"));
  if (content.front() == '{') return LoadHfTokenizer(path);
  if (!absl::ascii_isdigit(static_cast<unsigned char>(content.front()))) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": neither a tokenizer.json nor an RWKV World vocabulary"));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<WorldTokenizer> world, WorldTokenizer::Create(text, path));
  return std::unique_ptr<Tokenizer>(std::move(world));
}

}  // namespace skein
