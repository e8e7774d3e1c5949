// All changes of a registry: what operators and clients ask for, and what a restart brings back.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "skein/v1/manifest.pb.h"
#include "worker/adapters/adapter_plan.h"
#include "worker/registry/registry.h"
#include "worker/registry/roots.h"

namespace skein {

struct LoadedAdapter {
  std::shared_ptr<const BoundAdapter> adapter;
  std::shared_ptr<const InitialState> state;  // that came with it; or null
  int64_t bytes = 0;                          // of both
  std::vector<std::string> warnings;
};

// The registry of a loaded model, and how files for that model are read.
struct RegistryTarget {
  std::string model;
  Registry& registry;
  std::function<absl::StatusOr<TunedState>(const std::string& path, TunedStateLayout layout)> load;
  std::function<absl::StatusOr<LoadedAdapter>(const std::string& path,
                                              const AdapterOptions& options)>
      load_adapter;
};

// Entries belong to one model each. The manifest wins for the names it holds: a client may replace
// or remove such an entry, and the next Restore or Reload brings it back. Everything else that
// clients register is kept in a file, written before it takes effect. Every change is whole or
// none. Reads files: not for the step loop's or gRPC's threads. One call at a time, the first for
// each model that is served Restore.
class RegistryKeeper {
 public:
  struct Options {
    std::string model;               // that entries are for which do not say
    bool other_models = false;       // entries may be for models that are not served now
    std::vector<std::string> roots;  // directories that clients' files may come from
    std::string manifest;            // a file; empty: none
    std::string kept;                // a file; empty: what clients register ends with the process
    int max_mix_states = 8;
    int64_t max_adapter_bytes = int64_t{4} << 30;  // of all registered adapters together
  };
  using EntryRef = std::shared_ptr<const RegistryEntry>;

  // Reads manifest and kept file, so that mistakes are found before a model is loaded. Errors name
  // the file or directory.
  static absl::StatusOr<std::unique_ptr<RegistryKeeper>> Create(Options options);

  // Into an empty registry what is there for its model: of the manifest, from which everything must
  // load, then of what was kept. What does not load of this is logged and kept for another time.
  absl::Status Restore(const RegistryTarget& target);
  // Reads the manifest again. After an error everything is as it was.
  absl::Status Reload(const RegistryTarget& target);
  bool has_manifest() const { return !options_.manifest.empty(); }

  // Errors as FileRoots::Find and LoadTunedState have them; InvalidArgument for a bad name or
  // bad defaults; AlreadyExists for a name of another kind; Unavailable if it cannot be kept.
  absl::StatusOr<EntryRef> LoadState(const RegistryTarget& target,
                                     const v1::LoadStateRequest& request);
  // Errors as those of LoadState, and as LoadAdapter and Model::Bind have them; ResourceExhausted
  // beyond max_adapter_bytes.
  absl::StatusOr<EntryRef> LoadAdapter(const RegistryTarget& target,
                                       const v1::LoadAdapterRequest& request);
  // NotFound for a state that is not there.
  absl::StatusOr<EntryRef> DefineMixture(const RegistryTarget& target,
                                         const v1::DefineMixtureRequest& request);
  // NotFound; FailedPrecondition for a state that a mixture needs.
  absl::Status Remove(const RegistryTarget& target, const v1::RemoveRequest& request);

 private:
  RegistryKeeper(Options options, FileRoots roots, v1::RegistryManifest manifest,
                 v1::RegistryManifest kept);
  absl::Status LoadManifest(const RegistryTarget& target, const v1::RegistryManifest& manifest,
                            EntryMap& entries) const;
  absl::Status LoadManifestAdapters(const RegistryTarget& target,
                                    const v1::RegistryManifest& manifest, EntryMap& entries) const;
  void LoadKept(const RegistryTarget& target, EntryMap& entries) const;
  // Puts the entry in, and keeps `request` for another start.
  template <typename Request>
  absl::StatusOr<EntryRef> Register(const RegistryTarget& target, RegistryEntry entry,
                                    const Request& request);
  absl::Status Commit(Registry& registry, EntryMap entries, v1::RegistryManifest kept,
                      const v1::RegistryManifest& manifest);
  absl::Status CheckAdapterBytes(const EntryMap& entries) const;
  void WarnIfManifestHolds(const std::string& model, RegistryEntry& entry) const;

  const Options options_;
  const FileRoots roots_;
  // Of all models, with the model in every entry.
  v1::RegistryManifest manifest_;
  v1::RegistryManifest kept_;  // by clients; the file leaves out names of the manifest
};

}  // namespace skein
