#include "worker/registry/manifest.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>
#include <type_traits>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"

#include "common/base/status_macros.h"
#include "common/config/text_proto.h"
#include "worker/registry/conversion.h"
#include "worker/registry/mixture.h"

namespace skein {
namespace {

namespace fs = std::filesystem;

// Calls `change` with each entry, whatever it is of.
template <typename Manifest, typename Change>
void ForEach(Manifest& manifest, const Change& change) {
  if constexpr (std::is_const_v<Manifest>) {
    for (const auto& state : manifest.state()) change(state);
    for (const auto& mixture : manifest.mixture()) change(mixture);
    for (const auto& adapter : manifest.adapter()) change(adapter);
  } else {
    for (auto& state : *manifest.mutable_state()) change(state);
    for (auto& mixture : *manifest.mutable_mixture()) change(mixture);
    for (auto& adapter : *manifest.mutable_adapter()) change(adapter);
  }
}

void FillModel(v1::RegistryManifest& manifest, absl::string_view model) {
  ForEach(manifest, [model](auto& entry) {
    if (entry.model().empty()) entry.set_model(std::string(model));
  });
}

using Names = std::set<std::pair<std::string, std::string>>;  // of models and entries

absl::Status CheckName(const std::string& name, const std::string& model,
                       const ManifestRules& rules, Names& names) {
  RETURN_IF_ERROR(CheckEntryName(name));
  if (model.empty() && rules.other_models) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", name, "\": no model, expected one: this worker starts without any"));
  }
  if (model != rules.model && !rules.other_models) {
    return absl::InvalidArgumentError(absl::StrCat("\"", name, "\": is for model \"", model,
                                                   "\", this worker serves ", rules.model));
  }
  if (names.emplace(model, name).second) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("\"", name, "\": is there twice"));
}

absl::Status CheckMixture(const v1::DefineMixtureRequest& mixture,
                          const v1::RegistryManifest& manifest, int max_mix_states) {
  RETURN_IF_ERROR(ConvertDefaults(mixture.defaults()).status());
  RETURN_IF_ERROR(NormaliseMix(ConvertMix(mixture.mix()), max_mix_states).status());
  for (const v1::StateWeight& part : mixture.mix().states()) {
    bool found = part.name().empty();
    for (const v1::LoadStateRequest& state : manifest.state()) {
      found = found || (state.name() == part.name() && state.model() == mixture.model());
    }
    if (!found) {
      return absl::InvalidArgumentError(
          absl::StrCat("no state \"", part.name(), "\" in the same file"));
    }
  }
  return absl::OkStatus();
}

absl::Status InContext(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(context, ": ", status.message()));
}

absl::Status Check(const v1::RegistryManifest& manifest, const ManifestRules& rules) {
  Names names;
  for (const v1::LoadStateRequest& state : manifest.state()) {
    RETURN_IF_ERROR(InContext(CheckName(state.name(), state.model(), rules, names), "state"));
    RETURN_IF_ERROR(InContext(ConvertDefaults(state.defaults()).status(), state.name()));
    if (state.path().empty()) {
      return absl::InvalidArgumentError(absl::StrCat("state \"", state.name(), "\": no path"));
    }
  }
  for (const v1::LoadAdapterRequest& adapter : manifest.adapter()) {
    RETURN_IF_ERROR(InContext(CheckName(adapter.name(), adapter.model(), rules, names), "adapter"));
    RETURN_IF_ERROR(InContext(ConvertAdapterOptions(adapter).status(), adapter.name()));
    if (adapter.path().empty()) {
      return absl::InvalidArgumentError(absl::StrCat("adapter \"", adapter.name(), "\": no path"));
    }
  }
  for (const v1::DefineMixtureRequest& mixture : manifest.mixture()) {
    RETURN_IF_ERROR(InContext(CheckName(mixture.name(), mixture.model(), rules, names), "mixture"));
    RETURN_IF_ERROR(InContext(CheckMixture(mixture, manifest, rules.max_mix_states),
                              absl::StrCat("mixture \"", mixture.name(), "\"")));
  }
  return absl::OkStatus();
}

absl::Status FailedFor(const std::string& path, absl::string_view what) {
  return absl::UnavailableError(
      absl::StrCat(path, ": cannot be ", what, ": ", std::strerror(errno)));
}

absl::Status WriteAll(int file, absl::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = write(file, text.data(), text.size());
    if (written < 0) return FailedFor(path, "written");
    text.remove_prefix(static_cast<size_t>(written));
  }
  if (fsync(file) != 0) return FailedFor(path, "written");
  return absl::OkStatus();
}

absl::Status WriteNew(const std::string& path, absl::string_view text) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return FailedFor(path, "created");
  const absl::Cleanup closer = [file] { close(file); };
  return WriteAll(file, text, path);
}

}  // namespace

absl::StatusOr<v1::RegistryManifest> ReadManifest(const std::string& path,
                                                  const ManifestRules& rules) {
  ASSIGN_OR_RETURN(v1::RegistryManifest manifest, ReadTextProto<v1::RegistryManifest>(path));
  FillModel(manifest, rules.model);
  RETURN_IF_ERROR(InContext(Check(manifest, rules), path));
  return manifest;
}

absl::StatusOr<v1::RegistryManifest> ReadKept(const std::string& path, absl::string_view model) {
  std::error_code error;
  if (!fs::exists(path, error) && !error) return v1::RegistryManifest();
  ASSIGN_OR_RETURN(v1::RegistryManifest kept, ReadTextProto<v1::RegistryManifest>(path));
  FillModel(kept, model);
  return kept;
}

absl::Status WriteKept(const std::string& path, absl::string_view model,
                       v1::RegistryManifest kept) {
  ForEach(kept, [model](auto& entry) {
    if (entry.model() == model) entry.clear_model();
  });
  std::string text =
      "# Written by skein-worker: what was registered over gRPC, for its next start.\n";
  std::string entries;
  google::protobuf::TextFormat::PrintToString(kept, &entries);
  const std::string fresh = path + ".new";
  RETURN_IF_ERROR(WriteNew(fresh, text + entries));
  if (rename(fresh.c_str(), path.c_str()) != 0) return FailedFor(path, "replaced");
  const std::string folder = fs::path(path).parent_path().string();
  const int directory =
      open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return FailedFor(path, "replaced");
  const absl::Cleanup closer = [directory] { close(directory); };
  return fsync(directory) == 0 ? absl::OkStatus() : FailedFor(path, "replaced");
}

bool Holds(const v1::RegistryManifest& manifest, absl::string_view model, absl::string_view name) {
  bool found = false;
  ForEach(manifest, [&](const auto& entry) {
    found = found || (entry.name() == name && entry.model() == model);
  });
  return found;
}

void Forget(v1::RegistryManifest& manifest, absl::string_view model, absl::string_view name) {
  const auto erase = [model, name](auto& items) {
    for (int i = items.size() - 1; i >= 0; --i) {
      if (items[i].name() == name && items[i].model() == model) items.DeleteSubrange(i, 1);
    }
  };
  erase(*manifest.mutable_state());
  erase(*manifest.mutable_mixture());
  erase(*manifest.mutable_adapter());
}

void ForgetAll(v1::RegistryManifest& manifest, const v1::RegistryManifest& held) {
  ForEach(held, [&](const auto& entry) { Forget(manifest, entry.model(), entry.name()); });
}

}  // namespace skein
