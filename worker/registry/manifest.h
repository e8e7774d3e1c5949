// Files that say what a registry holds.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "skein/v1/manifest.pb.h"

namespace skein {

// What an operator wrote. NotFound or InvalidArgument, with the file's name in front, if it cannot
// be read, names something twice or badly, mixes states that it does not load, or is for another
// model than `model`.
absl::StatusOr<v1::RegistryManifest> ReadManifest(const std::string& path, absl::string_view model,
                                                  int max_mix_states);

// What WriteKept wrote; empty if there is no such file. Errors as above.
absl::StatusOr<v1::RegistryManifest> ReadKept(const std::string& path);
// As a whole or not at all, even if the machine loses power. Unavailable, with the reason.
absl::Status WriteKept(const std::string& path, const v1::RegistryManifest& kept);

bool Holds(const v1::RegistryManifest& manifest, absl::string_view name);
void Forget(v1::RegistryManifest& manifest, absl::string_view name);
// Every name that `held` has.
void ForgetAll(v1::RegistryManifest& manifest, const v1::RegistryManifest& held);

}  // namespace skein
