#include "gateway/access/key_table.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include <openssl/evp.h>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/config/keys_config.h"

namespace skein {
namespace {

Role ToRole(const std::string& name) {
  if (name == "admin") return Role::kAdmin;
  if (name == "metrics") return Role::kMetrics;
  return Role::kInference;
}

bool MatchesAny(const std::vector<std::string>& patterns, absl::string_view text) {
  return patterns.empty() ||
         std::any_of(patterns.begin(), patterns.end(),
                     [text](const std::string& pattern) { return MatchesPattern(pattern, text); });
}

}  // namespace

bool Key::Has(Role role) const {
  return role == Role::kOpen || std::find(roles.begin(), roles.end(), role) != roles.end();
}

bool Key::MayUseModel(absl::string_view model) const { return MatchesAny(models, model); }
bool Key::MayUseAdapter(absl::string_view adapter) const { return MatchesAny(adapters, adapter); }

bool MatchesPattern(absl::string_view pattern, absl::string_view text) {
  size_t p = 0;
  size_t t = 0;
  // Where the last star stands, and where in `text` the rest behind it was tried.
  size_t star = absl::string_view::npos;
  size_t tried = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      tried = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != absl::string_view::npos) {
      p = star + 1;
      t = ++tried;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

absl::StatusOr<std::shared_ptr<const KeyTable>> KeyTable::Create(const config::v1::KeysFile& file,
                                                                 const KeyTable* before) {
  RETURN_IF_ERROR(Validate(file));
  auto table = std::make_shared<KeyTable>();
  for (const config::v1::ApiKey& key : file.key()) table->Add(key, before);
  return std::shared_ptr<const KeyTable>(std::move(table));
}

void KeyTable::Add(const config::v1::ApiKey& config, const KeyTable* before) {
  auto key = std::make_shared<Key>();
  key->name = config.name();
  for (const std::string& role : config.role()) key->roles.push_back(ToRole(role));
  key->models.assign(config.model().begin(), config.model().end());
  key->adapters.assign(config.adapter().begin(), config.adapter().end());
  key->expires = ExpiryOf(config);
  if (before != nullptr) {
    const auto found = before->by_name_.find(key->name);
    if (found != before->by_name_.end()) key->limits = before->keys_[found->second]->limits;
  }
  if (key->limits == nullptr) key->limits = std::make_shared<KeyLimits>();
  key->limits->SetRules({.requests_per_minute = config.requests_per_minute(),
                         .tokens_per_minute = static_cast<int64_t>(config.tokens_per_minute()),
                         .max_parallel = config.max_parallel()});
  for (const std::string& hex : config.sha256()) {
    const std::string bytes = absl::HexStringToBytes(hex);
    Entry& entry = entries_.emplace_back();
    std::memcpy(entry.digest.data(), bytes.data(), sizeof(Digest));
    entry.key_index = keys_.size();
  }
  by_name_[key->name] = keys_.size();
  keys_.push_back(std::move(key));
}

std::shared_ptr<const Key> KeyTable::Find(absl::string_view text) const {
  const Digest digest = Hash(text);
  // All entries are looked at and none is left early, without a branch on what they hold.
  size_t found = keys_.size();
  for (const Entry& entry : entries_) {
    uint64_t difference = 0;
    for (size_t i = 0; i < digest.size(); ++i) difference |= digest[i] ^ entry.digest[i];
    // All ones if there is no difference, else zero.
    const uint64_t equal = ((difference | (~difference + 1)) >> 63) - 1;
    found = (entry.key_index & equal) | (found & ~equal);
  }
  return found < keys_.size() ? keys_[found] : nullptr;
}

KeyTable::Digest KeyTable::Hash(absl::string_view text) {
  // Fetched once: looking the algorithm up costs more than the hash.
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  Digest digest{};
  const int ok =
      EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr,
                 sha256, nullptr);
  SKEIN_CHECK(ok == 1);
  return digest;
}

}  // namespace skein
