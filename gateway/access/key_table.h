// The API keys of a KeysFile, ready to be looked up.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "gateway/access/key_limits.h"
#include "skein/config/v1/keys.pb.h"

namespace skein {

// What a route or a method asks of a key. A key has some of the last three; none implies another.
enum class Role { kOpen, kInference, kMetrics, kAdmin };

struct Key {
  std::string name;
  std::vector<Role> roles;
  std::vector<std::string> models;    // patterns; empty: all
  std::vector<std::string> adapters;  // patterns; empty: all
  absl::Time expires = absl::InfiniteFuture();
  std::shared_ptr<KeyLimits> limits;

  bool Has(Role role) const;
  bool MayUseModel(absl::string_view model) const;
  bool MayUseAdapter(absl::string_view adapter) const;
};

// True if `text` is what `pattern` describes: * is any text, ? any byte, all else itself.
bool MatchesPattern(absl::string_view pattern, absl::string_view text);

// Immutable.
class KeyTable {
 public:
  // InvalidArgument for what Validate refuses. A key keeps the state of the limits that a key of
  // its name has in `before`, which may be null.
  static absl::StatusOr<std::shared_ptr<const KeyTable>> Create(const config::v1::KeysFile& file,
                                                                const KeyTable* before);

  // Null if no key has this text. Takes the same time whatever `text` is and whichever key it is.
  std::shared_ptr<const Key> Find(absl::string_view text) const;

  size_t size() const { return keys_.size(); }

 private:
  using Digest = std::array<uint64_t, 4>;  // SHA-256
  struct Entry {
    Digest digest;
    size_t key_index;
  };
  static Digest Hash(absl::string_view text);

  void Add(const config::v1::ApiKey& config, const KeyTable* before);

  std::vector<std::shared_ptr<const Key>> keys_;
  std::map<std::string, size_t> by_name_;
  std::vector<Entry> entries_;
};

}  // namespace skein
