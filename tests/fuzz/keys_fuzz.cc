// The file of API keys, and the patterns in it: TEXT 1f PATTERN 1f NAME.
#include <string>
#include <vector>

#include "google/protobuf/text_format.h"

#include "common/config/keys_config.h"
#include "common/config/text_proto.h"
#include "gateway/access/key_table.h"
#include "tests/fuzz/fuzz.h"

namespace {

using skein::fuzz::Require;
using skein::fuzz::RequireFailure;

constexpr size_t kMaxPatternBytes = 64;

// By the definition, one row of the table of all prefixes at a time.
bool Matches(absl::string_view pattern, absl::string_view text) {
  std::vector<bool> row(text.size() + 1, false);
  row[0] = true;
  for (const char c : pattern) {
    std::vector<bool> next(text.size() + 1, false);
    if (c == '*') next[0] = row[0];
    for (size_t i = 1; i <= text.size(); ++i) {
      next[i] = c == '*' ? row[i] || next[i - 1] : row[i - 1] && (c == '?' || c == text[i - 1]);
    }
    row = std::move(next);
  }
  return row.back();
}

void CheckFile(absl::string_view text) {
  skein::config::v1::KeysFile file;
  const absl::Status parsed = skein::ParseTextProto(text, "keys.txtpb", file);
  if (!parsed.ok()) return RequireFailure(parsed, {absl::StatusCode::kInvalidArgument});
  const auto table = skein::KeyTable::Create(file, nullptr);
  Require(table.ok() == skein::Validate(file).ok(), "a checked file makes a table");
  if (!table.ok()) return RequireFailure(table.status(), {absl::StatusCode::kInvalidArgument});
  Require((*table)->size() == static_cast<size_t>(file.key_size()), "every key is in the table");
  Require((*table)->Find("") == nullptr && (*table)->Find(text) == nullptr,
          "a key is found by its own text alone");
  for (const auto& key : file.key()) {
    for (const std::string& hash : key.sha256()) {
      Require((*table)->Find(hash) == nullptr, "a hash is no key");
    }
  }
  Require(skein::KeyTable::Create(file, table->get()).ok(), "a file may be read again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  skein::fuzz::Parts parts(skein::fuzz::Text(data, size));
  CheckFile(parts.Next());
  const absl::string_view pattern = parts.Next().substr(0, kMaxPatternBytes);
  const absl::string_view name = parts.Rest().substr(0, kMaxPatternBytes);
  Require(skein::MatchesPattern(pattern, name) == Matches(pattern, name),
          "a pattern matches what its definition says");
  return 0;
}
