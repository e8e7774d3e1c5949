// Files that say what a registry holds.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "skein/v1/manifest.pb.h"

namespace skein {

struct ManifestRules {
  std::string model;          // that entries are for which do not say; may be empty
  bool other_models = false;  // entries may be for others
  int max_mix_states = 8;
};

// What an operator wrote, with the model in every entry. NotFound or InvalidArgument, with the
// file's name in front, if it cannot be read, names something of a model twice or badly, mixes
// states that it does not load, or is for models that `rules` leave out.
absl::StatusOr<v1::RegistryManifest> ReadManifest(const std::string& path,
                                                  const ManifestRules& rules);

// What WriteKept wrote, with the model in every entry; empty if there is no such file. Errors as
// above. The file does not say it of those of `model`, which may get another name between starts.
absl::StatusOr<v1::RegistryManifest> ReadKept(const std::string& path, absl::string_view model);
// As a whole or not at all, even if the machine loses power. Unavailable, with the reason.
absl::Status WriteKept(const std::string& path, absl::string_view model, v1::RegistryManifest kept);

bool Holds(const v1::RegistryManifest& manifest, absl::string_view model, absl::string_view name);
void Forget(v1::RegistryManifest& manifest, absl::string_view model, absl::string_view name);
// Every name of every model that `held` has.
void ForgetAll(v1::RegistryManifest& manifest, const v1::RegistryManifest& held);

}  // namespace skein
