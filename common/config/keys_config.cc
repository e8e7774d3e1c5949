#include "common/config/keys_config.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/config/checks.h"

namespace skein {
namespace {

using config::v1::ApiKey;

constexpr int kMaxKeys = 10000;
constexpr uint64_t kMaxPerMinute = 1'000'000'000;
constexpr size_t kMaxNameBytes = 128;
constexpr size_t kHashDigits = 64;

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         absl::string_view("-_.@").find(c) != absl::string_view::npos;
}

absl::Status CheckName(const std::string& name) {
  if (!name.empty() && name.size() <= kMaxNameBytes &&
      std::all_of(name.begin(), name.end(), IsNameCharacter)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("name: \"", name, "\", expected 1 to ",
                                                 kMaxNameBytes,
                                                 " letters, digits or characters of -_.@"));
}

absl::Status CheckHashes(const ApiKey& key) {
  if (key.sha256().empty()) {
    return absl::InvalidArgumentError("sha256: missing, expected the hash of the key");
  }
  for (const std::string& hash : key.sha256()) {
    if (hash.size() == kHashDigits && std::all_of(hash.begin(), hash.end(), absl::ascii_isxdigit)) {
      continue;
    }
    // What stands here may be the key itself: it must not get into the log.
    return absl::InvalidArgumentError(
        absl::StrCat("sha256: ", hash.size(), " characters, expected ", kHashDigits,
                     " hexadecimal digits: the SHA-256 of the key, not the key"));
  }
  return absl::OkStatus();
}

absl::Status CheckRoles(const ApiKey& key) {
  if (key.role().empty()) {
    return absl::InvalidArgumentError("role: missing, expected inference, admin or metrics");
  }
  for (const std::string& role : key.role()) {
    if (role == "inference" || role == "admin" || role == "metrics") continue;
    return absl::InvalidArgumentError(
        absl::StrCat("role: \"", role, "\", expected inference, admin or metrics"));
  }
  return absl::OkStatus();
}

absl::Status CheckExpiry(const ApiKey& key) {
  absl::Time time;
  std::string error;
  if (key.expires().empty() || absl::ParseTime(absl::RFC3339_full, key.expires(), &time, &error)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "expires: \"", key.expires(), "\", expected a time such as 2027-01-31T00:00:00Z: ", error));
}

absl::Status CheckFields(const ApiKey& key) {
  RETURN_IF_ERROR(CheckName(key.name()));
  RETURN_IF_ERROR(CheckHashes(key));
  RETURN_IF_ERROR(CheckRoles(key));
  RETURN_IF_ERROR(CheckRange("requests_per_minute", key.requests_per_minute(), 0, kMaxPerMinute));
  RETURN_IF_ERROR(CheckRange("tokens_per_minute", key.tokens_per_minute(), 0, kMaxPerMinute));
  return CheckExpiry(key);
}

}  // namespace

absl::Status Validate(const ApiKey& key) {
  const absl::Status status = CheckFields(key);
  if (status.ok()) return status;
  return absl::InvalidArgumentError(absl::StrCat("key \"", key.name(), "\": ", status.message()));
}

absl::Status Validate(const config::v1::KeysFile& file) {
  if (file.key().empty()) {
    return absl::InvalidArgumentError("key: none, expected at least one (skeinctl keys new)");
  }
  RETURN_IF_ERROR(CheckRange("number of keys", file.key_size(), 1, kMaxKeys));
  std::set<std::string> names;
  std::set<std::string> hashes;
  for (const ApiKey& key : file.key()) {
    RETURN_IF_ERROR(Validate(key));
    if (!names.insert(key.name()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("key \"", key.name(), "\": the name is given twice"));
    }
    for (const std::string& hash : key.sha256()) {
      if (hashes.insert(absl::AsciiStrToLower(hash)).second) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("key \"", key.name(), "\": sha256: another key has the same"));
    }
  }
  return absl::OkStatus();
}

absl::Time ExpiryOf(const ApiKey& key) {
  absl::Time time = absl::InfiniteFuture();
  if (!key.expires().empty()) absl::ParseTime(absl::RFC3339_full, key.expires(), &time, nullptr);
  return time;
}

}  // namespace skein
