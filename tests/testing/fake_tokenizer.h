// A tokenizer from a table of byte strings.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/text/tokenizer.h"

namespace skein {

// Id i is `table[i]`; an empty string is no token. Encode takes the longest token that fits, as
// tries do.
class FakeTokenizer final : public Tokenizer {
 public:
  explicit FakeTokenizer(std::vector<std::string> table, std::set<int32_t> special = {})
      : table_(std::move(table)), special_(std::move(special)) {}

  std::vector<int32_t> Encode(absl::string_view text, bool) const override {
    std::vector<int32_t> ids;
    while (!text.empty()) {
      int32_t best = -1;
      for (int32_t id = 0; id < vocab_size(); ++id) {
        const std::string& token = table_[id];
        const bool fits = !token.empty() && text.substr(0, token.size()) == token;
        if (fits && (best < 0 || token.size() > table_[best].size())) best = id;
      }
      if (best < 0) return {};
      ids.push_back(best);
      text.remove_prefix(table_[best].size());
    }
    return ids;
  }
  absl::string_view TokenBytes(int32_t id) const override {
    return id >= 0 && id < vocab_size() ? absl::string_view(table_[id]) : absl::string_view();
  }
  bool IsSpecial(int32_t id) const override { return special_.contains(id); }
  bool IsToken(int32_t id) const override {
    return id >= 0 && id < vocab_size() && !table_[id].empty();
  }
  int64_t vocab_size() const override { return static_cast<int64_t>(table_.size()); }
  int32_t TokenId(absl::string_view text) const override {
    for (int32_t id = 0; id < vocab_size(); ++id) {
      if (IsToken(id) && text == table_[id]) return id;
    }
    return -1;
  }

 private:
  const std::vector<std::string> table_;
  const std::set<int32_t> special_;
};

}  // namespace skein
