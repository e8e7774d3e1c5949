#include "worker/registry/keeper.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "worker/registry/conversion.h"
#include "worker/registry/manifest.h"
#include "worker/registry/mixture.h"

namespace skein {
namespace {

namespace fs = std::filesystem;
using EntryRef = RegistryKeeper::EntryRef;

absl::Status InContext(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(context, ": ", status.message()));
}

// What a request for a state says besides the file.
absl::StatusOr<RegistryEntry> StateEntry(const v1::LoadStateRequest& request) {
  RegistryEntry entry;
  entry.kind = EntryKind::kState;
  entry.name = request.name();
  RETURN_IF_ERROR(CheckEntryName(entry.name));
  ASSIGN_OR_RETURN(entry.defaults, ConvertDefaults(request.defaults()));
  return entry;
}

absl::Status LoadInto(const RegistryTarget& target, const std::string& path, v1::StateLayout layout,
                      RegistryEntry& entry) {
  ASSIGN_OR_RETURN(const TunedStateLayout wanted, ConvertLayout(layout));
  ASSIGN_OR_RETURN(TunedState loaded, target.load(path, wanted));
  entry.state = std::move(loaded.state);
  entry.layout = loaded.layout;
  entry.bytes = loaded.bytes;
  entry.warnings = std::move(loaded.warnings);
  return absl::OkStatus();
}

// The state of a file that a client named.
absl::StatusOr<RegistryEntry> LoadFromRoot(const RegistryTarget& target, const FileRoots& roots,
                                           const v1::LoadStateRequest& request) {
  ASSIGN_OR_RETURN(RegistryEntry entry, StateEntry(request));
  ASSIGN_OR_RETURN(FileRoots::File file, roots.Find(request.path()));
  RETURN_IF_ERROR(LoadInto(target, file.path, request.layout(), entry));
  entry.path = std::move(file.shown);
  return entry;
}

absl::StatusOr<RegistryEntry> AdapterEntry(const v1::LoadAdapterRequest& request) {
  RegistryEntry entry;
  entry.kind = EntryKind::kAdapter;
  entry.name = request.name();
  RETURN_IF_ERROR(CheckEntryName(entry.name));
  return entry;
}

absl::Status LoadInto(const RegistryTarget& target, const std::string& path,
                      const v1::LoadAdapterRequest& request, RegistryEntry& entry) {
  ASSIGN_OR_RETURN(entry.options, ConvertAdapterOptions(request));
  ASSIGN_OR_RETURN(LoadedAdapter loaded, target.load_adapter(path, entry.options));
  entry.adapter = std::move(loaded.adapter);
  entry.state = std::move(loaded.state);
  entry.bytes = loaded.bytes;
  entry.warnings = std::move(loaded.warnings);
  return absl::OkStatus();
}

absl::StatusOr<RegistryEntry> LoadFromRoot(const RegistryTarget& target, const FileRoots& roots,
                                           const v1::LoadAdapterRequest& request) {
  ASSIGN_OR_RETURN(RegistryEntry entry, AdapterEntry(request));
  ASSIGN_OR_RETURN(FileRoots::File file, roots.Find(request.path()));
  RETURN_IF_ERROR(LoadInto(target, file.path, request, entry));
  entry.path = std::move(file.shown);
  return entry;
}

absl::StatusOr<RegistryEntry> MixtureEntry(const v1::DefineMixtureRequest& request,
                                           int max_mix_states) {
  RegistryEntry entry;
  entry.kind = EntryKind::kMixture;
  entry.name = request.name();
  RETURN_IF_ERROR(CheckEntryName(entry.name));
  ASSIGN_OR_RETURN(entry.defaults, ConvertDefaults(request.defaults()));
  entry.mix = ConvertMix(request.mix());
  RETURN_IF_ERROR(NormaliseMix(entry.mix, max_mix_states).status());
  return entry;
}

EntryRef Put(EntryMap& entries, RegistryEntry entry) {
  const std::string name = entry.name;
  return entries[name] = std::make_shared<const RegistryEntry>(std::move(entry));
}

// Nothing is added if a state is missing.
absl::Status AddMixture(const v1::DefineMixtureRequest& request, int max_mix_states,
                        EntryMap& entries) {
  ASSIGN_OR_RETURN(RegistryEntry entry, MixtureEntry(request, max_mix_states));
  EntryMap with_it = entries;
  Put(with_it, std::move(entry));
  RETURN_IF_ERROR(CheckMixtures(with_it));
  entries = std::move(with_it);
  return absl::OkStatus();
}

absl::Status CheckKind(const Registry& registry, const std::string& name, EntryKind kind) {
  const std::shared_ptr<const RegistrySnapshot> now = registry.snapshot();
  const auto it = now->entries.find(name);
  if (it == now->entries.end() || it->second->kind == kind) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat("name: \"", name, "\" is a ",
                                               EntryKindName(it->second->kind),
                                               ", expected another, or remove it first"));
}

// What is kept of a client's request.
v1::LoadStateRequest& AddTo(v1::RegistryManifest& kept, const v1::LoadStateRequest& request) {
  return *kept.add_state() = request;
}
v1::LoadAdapterRequest& AddTo(v1::RegistryManifest& kept, const v1::LoadAdapterRequest& request) {
  return *kept.add_adapter() = request;
}
v1::DefineMixtureRequest& AddTo(v1::RegistryManifest& kept,
                                const v1::DefineMixtureRequest& request) {
  return *kept.add_mixture() = request;
}

bool IsOfKind(const RegistryEntry& entry, v1::EntryKind kind) {
  return kind == v1::ENTRY_KIND_UNSPECIFIED ||
         (kind == v1::ENTRY_KIND_STATE && entry.kind == EntryKind::kState) ||
         (kind == v1::ENTRY_KIND_MIXTURE && entry.kind == EntryKind::kMixture) ||
         (kind == v1::ENTRY_KIND_ADAPTER && entry.kind == EntryKind::kAdapter);
}

void LogNotRestored(absl::string_view name, const absl::Status& status) {
  LogError("a registered entry could not be restored",
           {{"name", std::string(name)}, {"error", std::string(status.message())}});
}

ManifestRules RulesOf(const RegistryKeeper::Options& options) {
  return {options.model, options.other_models, options.max_mix_states};
}

}  // namespace

absl::StatusOr<std::unique_ptr<RegistryKeeper>> RegistryKeeper::Create(Options options) {
  ASSIGN_OR_RETURN(FileRoots roots,
                   FileRoots::Create(options.roots, {"registry.root", "--registry-root"}));
  v1::RegistryManifest manifest, kept;
  if (!options.manifest.empty()) {
    ASSIGN_OR_RETURN(manifest, ReadManifest(options.manifest, RulesOf(options)));
  }
  if (!options.kept.empty()) {
    const fs::path folder = fs::absolute(options.kept).parent_path();
    std::error_code error;
    if (!fs::is_directory(folder, error)) {
      return absl::NotFoundError(
          absl::StrCat("registry.kept: ", folder.string(), ": no such directory"));
    }
    ASSIGN_OR_RETURN(kept, ReadKept(options.kept, options.model));
  }
  return std::unique_ptr<RegistryKeeper>(new RegistryKeeper(std::move(options), std::move(roots),
                                                            std::move(manifest), std::move(kept)));
}

RegistryKeeper::RegistryKeeper(Options options, FileRoots roots, v1::RegistryManifest manifest,
                               v1::RegistryManifest kept)
    : options_(std::move(options)),
      roots_(std::move(roots)),
      manifest_(std::move(manifest)),
      kept_(std::move(kept)) {}

absl::Status RegistryKeeper::Restore(const RegistryTarget& target) {
  if (has_manifest()) {  // again: a model may take long to load
    ASSIGN_OR_RETURN(manifest_, ReadManifest(options_.manifest, RulesOf(options_)));
  }
  EntryMap entries;
  RETURN_IF_ERROR(LoadManifest(target, manifest_, entries));
  LoadKept(target, entries);
  return target.registry.Publish(std::move(entries));
}

absl::Status RegistryKeeper::Reload(const RegistryTarget& target) {
  ASSIGN_OR_RETURN(v1::RegistryManifest manifest,
                   ReadManifest(options_.manifest, RulesOf(options_)));
  EntryMap entries = target.registry.snapshot()->entries;
  std::erase_if(entries, [](const auto& item) { return item.second->from_manifest; });
  RETURN_IF_ERROR(LoadManifest(target, manifest, entries));
  v1::RegistryManifest kept = kept_;
  ForgetAll(kept, manifest);
  RETURN_IF_ERROR(Commit(target.registry, std::move(entries), std::move(kept), manifest));
  manifest_ = std::move(manifest);
  return absl::OkStatus();
}

absl::Status RegistryKeeper::LoadManifest(const RegistryTarget& target,
                                          const v1::RegistryManifest& manifest,
                                          EntryMap& entries) const {
  const fs::path folder = fs::path(options_.manifest).parent_path();
  const std::shared_ptr<const RegistrySnapshot> before = target.registry.snapshot();
  for (const v1::LoadStateRequest& request : manifest.state()) {
    if (request.model() != target.model) continue;
    ASSIGN_OR_RETURN(RegistryEntry entry, StateEntry(request));
    entry.from_manifest = true;
    entry.path = request.path();
    RETURN_IF_ERROR(
        InContext(LoadInto(target, (folder / request.path()).string(), request.layout(), entry),
                  absl::StrCat(options_.manifest, ": state \"", request.name(), "\"")));
    const auto old = before->entries.find(entry.name);
    if (old != before->entries.end() && old->second->state != nullptr &&
        old->second->state->content_hash == entry.state->content_hash) {
      entry.state = old->second->state;  // one copy in memory
    }
    Put(entries, std::move(entry));
  }
  for (const v1::DefineMixtureRequest& request : manifest.mixture()) {
    if (request.model() != target.model) continue;
    ASSIGN_OR_RETURN(RegistryEntry entry, MixtureEntry(request, options_.max_mix_states));
    entry.from_manifest = true;
    Put(entries, std::move(entry));
  }
  return LoadManifestAdapters(target, manifest, entries);
}

absl::Status RegistryKeeper::LoadManifestAdapters(const RegistryTarget& target,
                                                  const v1::RegistryManifest& manifest,
                                                  EntryMap& entries) const {
  const fs::path folder = fs::path(options_.manifest).parent_path();
  const std::shared_ptr<const RegistrySnapshot> before = target.registry.snapshot();
  for (const v1::LoadAdapterRequest& request : manifest.adapter()) {
    if (request.model() != target.model) continue;
    ASSIGN_OR_RETURN(RegistryEntry entry, AdapterEntry(request));
    entry.from_manifest = true;
    entry.path = request.path();
    RETURN_IF_ERROR(
        InContext(LoadInto(target, (folder / request.path()).string(), request, entry),
                  absl::StrCat(options_.manifest, ": adapter \"", request.name(), "\"")));
    const auto old = before->entries.find(entry.name);
    if (old != before->entries.end() && old->second->adapter != nullptr &&
        old->second->adapter->adapter->content_hash == entry.adapter->adapter->content_hash) {
      entry.adapter = old->second->adapter;  // one copy in memory
      entry.state = old->second->state;
    }
    Put(entries, std::move(entry));
  }
  return CheckAdapterBytes(entries);
}

void RegistryKeeper::LoadKept(const RegistryTarget& target, EntryMap& entries) const {
  const EntryMap held = entries;
  const auto load = [&](const auto& requests) {
    for (const auto& request : requests) {
      if (request.model() != target.model || held.contains(request.name())) continue;
      absl::StatusOr<RegistryEntry> entry = LoadFromRoot(target, roots_, request);
      if (entry.ok()) {
        Put(entries, *std::move(entry));
      } else {
        LogNotRestored(request.name(), entry.status());
      }
    }
  };
  load(kept_.state());
  load(kept_.adapter());
  for (const v1::DefineMixtureRequest& request : kept_.mixture()) {
    if (request.model() != target.model || held.contains(request.name())) continue;
    const absl::Status status = AddMixture(request, options_.max_mix_states, entries);
    if (!status.ok()) LogNotRestored(request.name(), status);
  }
}

absl::StatusOr<EntryRef> RegistryKeeper::LoadState(const RegistryTarget& target,
                                                   const v1::LoadStateRequest& request) {
  RETURN_IF_ERROR(CheckKind(target.registry, request.name(), EntryKind::kState));
  ASSIGN_OR_RETURN(RegistryEntry entry, LoadFromRoot(target, roots_, request));
  return Register(target, std::move(entry), request);
}

absl::StatusOr<EntryRef> RegistryKeeper::LoadAdapter(const RegistryTarget& target,
                                                     const v1::LoadAdapterRequest& request) {
  RETURN_IF_ERROR(CheckKind(target.registry, request.name(), EntryKind::kAdapter));
  ASSIGN_OR_RETURN(RegistryEntry entry, LoadFromRoot(target, roots_, request));
  return Register(target, std::move(entry), request);
}

absl::StatusOr<EntryRef> RegistryKeeper::DefineMixture(const RegistryTarget& target,
                                                       const v1::DefineMixtureRequest& request) {
  ASSIGN_OR_RETURN(RegistryEntry entry, MixtureEntry(request, options_.max_mix_states));
  RETURN_IF_ERROR(CheckKind(target.registry, entry.name, EntryKind::kMixture));
  RETURN_IF_ERROR(target.registry.Resolve(entry.mix).status());
  return Register(target, std::move(entry), request);
}

template <typename Request>
absl::StatusOr<EntryRef> RegistryKeeper::Register(const RegistryTarget& target, RegistryEntry entry,
                                                  const Request& request) {
  WarnIfManifestHolds(target.model, entry);
  v1::RegistryManifest kept = kept_;
  Forget(kept, target.model, entry.name);
  AddTo(kept, request).set_model(target.model);
  EntryMap entries = target.registry.snapshot()->entries;
  EntryRef registered = Put(entries, std::move(entry));
  if (registered->kind == EntryKind::kAdapter) RETURN_IF_ERROR(CheckAdapterBytes(entries));
  RETURN_IF_ERROR(Commit(target.registry, std::move(entries), std::move(kept), manifest_));
  return registered;
}

absl::Status RegistryKeeper::Remove(const RegistryTarget& target,
                                    const v1::RemoveRequest& request) {
  EntryMap entries = target.registry.snapshot()->entries;
  const auto it = entries.find(request.name());
  if (it == entries.end() || !IsOfKind(*it->second, request.kind())) {
    return absl::NotFoundError(absl::StrCat("name: \"", absl::Utf8SafeCHexEscape(request.name()),
                                            "\" is not registered",
                                            it == entries.end() ? "" : " as that kind"));
  }
  entries.erase(it);
  v1::RegistryManifest kept = kept_;
  Forget(kept, target.model, request.name());
  return InContext(Commit(target.registry, std::move(entries), std::move(kept), manifest_),
                   absl::StrCat("\"", request.name(), "\" cannot be removed"));
}

absl::Status RegistryKeeper::Commit(Registry& registry, EntryMap entries, v1::RegistryManifest kept,
                                    const v1::RegistryManifest& manifest) {
  RETURN_IF_ERROR(CheckMixtures(entries));
  if (!options_.kept.empty()) {
    v1::RegistryManifest written = kept;
    ForgetAll(written, manifest);
    RETURN_IF_ERROR(WriteKept(options_.kept, options_.model, std::move(written)));
  }
  kept_ = std::move(kept);
  return registry.Publish(std::move(entries));
}

absl::Status RegistryKeeper::CheckAdapterBytes(const EntryMap& entries) const {
  int64_t bytes = 0;
  for (const auto& [name, entry] : entries) {
    if (entry->kind == EntryKind::kAdapter) bytes += entry->bytes;
  }
  if (bytes <= options_.max_adapter_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("adapters: ", bytes, " bytes with this one, expected at most ",
                   options_.max_adapter_bytes, " (registry.max_adapter_bytes)"));
}

void RegistryKeeper::WarnIfManifestHolds(const std::string& model, RegistryEntry& entry) const {
  if (!Holds(manifest_, model, entry.name)) return;
  entry.warnings.push_back(
      "the worker's manifest has this name: its entry comes back at the next start or reload");
}

}  // namespace skein
