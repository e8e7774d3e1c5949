// The file of API keys: what makes sense in it.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "skein/config/v1/keys.pb.h"

namespace skein {

// InvalidArgument that starts with the place, such as `key "ci": role: "root", expected inference,
// admin or metrics`. Names and hashes stand in one key each; a file has at most 10000 keys.
absl::Status Validate(const config::v1::KeysFile& file);
absl::Status Validate(const config::v1::ApiKey& key);

// Of a checked key; infinite without one.
absl::Time ExpiryOf(const config::v1::ApiKey& key);

}  // namespace skein
