#include "common/text/world_tokenizer.h"

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "common/base/status_macros.h"
#include "common/text/python_literal.h"

namespace skein {
namespace {

constexpr int64_t kMaxWorldId = (int64_t{1} << 20) - 1;

struct Line {
  int32_t id;
  std::string bytes;
};

// The literal may contain blanks: the first and the last of the line are the separators.
absl::StatusOr<Line> ParseLine(absl::string_view line) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == absl::string_view::npos || first == last) {
    return absl::InvalidArgumentError("expected: ID LITERAL LENGTH");
  }
  const absl::string_view id_text = line.substr(0, first);
  const absl::string_view length_text = line.substr(last + 1);
  int64_t id = 0;
  if (!absl::SimpleAtoi(id_text, &id) || id < 1 || id > kMaxWorldId) {
    return absl::InvalidArgumentError(
        absl::StrCat("id \"", id_text, "\", expected a number from 1 to ", kMaxWorldId));
  }
  ASSIGN_OR_RETURN(std::string bytes, ParsePythonLiteral(line.substr(first + 1, last - first - 1)));
  int64_t length = 0;
  if (!absl::SimpleAtoi(length_text, &length) || length != static_cast<int64_t>(bytes.size())) {
    return absl::InvalidArgumentError(
        absl::StrCat("length \"", length_text, "\", but the token has ", bytes.size(), " bytes"));
  }
  if (bytes.empty()) return absl::InvalidArgumentError("an empty token");
  return Line{static_cast<int32_t>(id), std::move(bytes)};
}

absl::Status CheckSingleBytes(const absl::flat_hash_map<std::string, int32_t>& ids) {
  for (int byte = 0; byte < 256; ++byte) {
    if (!ids.contains(std::string(1, static_cast<char>(byte)))) {
      return absl::InvalidArgumentError(
          absl::StrCat("no token for the byte ", byte, "; all 256 are needed"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorldTokenizer>> WorldTokenizer::Create(absl::string_view vocabulary,
                                                                       absl::string_view name) {
  std::vector<std::string> bytes(1);
  absl::flat_hash_map<std::string, int32_t> ids;
  int64_t number = 0;
  for (absl::string_view text : absl::StrSplit(vocabulary, '\n')) {
    ++number;
    absl::ConsumeSuffix(&text, "\r");
    if (text.empty()) continue;
    auto line = ParseLine(text);
    absl::Status status = line.status();
    if (status.ok() && static_cast<size_t>(line->id) < bytes.size() && !bytes[line->id].empty()) {
      status = absl::InvalidArgumentError(absl::StrCat("id ", line->id, " for the second time"));
    } else if (status.ok() && !ids.emplace(line->bytes, line->id).second) {
      status =
          absl::InvalidArgumentError(absl::StrCat("the same token as id ", ids.at(line->bytes)));
    }
    if (!status.ok()) {
      return absl::Status(status.code(),
                          absl::StrCat(name, ": line ", number, ": ", status.message()));
    }
    if (bytes.size() <= static_cast<size_t>(line->id)) bytes.resize(line->id + 1);
    bytes[line->id] = std::move(line->bytes);
  }
  if (const absl::Status status = CheckSingleBytes(ids); !status.ok()) {
    return absl::Status(status.code(), absl::StrCat(name, ": ", status.message()));
  }
  ByteTrie trie({ids.begin(), ids.end()});
  return std::unique_ptr<WorldTokenizer>(
      new WorldTokenizer(std::move(bytes), std::move(trie), std::move(ids)));
}

std::vector<int32_t> WorldTokenizer::Encode(absl::string_view text, bool /*add_special*/) const {
  std::vector<int32_t> encoded;
  encoded.reserve(text.size() / 4);
  while (!text.empty()) {
    const ByteTrie::Match match = trie_.LongestMatch(text);  // never none: single bytes are there
    encoded.push_back(match.id);
    text.remove_prefix(match.length);
  }
  return encoded;
}

absl::string_view WorldTokenizer::TokenBytes(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= bytes_.size()) return absl::string_view();
  return bytes_[id];
}

int32_t WorldTokenizer::TokenId(absl::string_view text) const {
  const auto found = ids_.find(text);
  return found == ids_.end() ? -1 : found->second;
}

}  // namespace skein
