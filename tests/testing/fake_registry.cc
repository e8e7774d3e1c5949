#include "tests/testing/fake_registry.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace skein {

namespace {

template <typename Request>
absl::StatusOr<v1::Entry> EntryOfFile(const Request& request, v1::EntryKind kind) {
  if (absl::StartsWith(request.path(), "missing")) {
    return absl::NotFoundError(absl::StrCat("path: no file ", request.path()));
  }
  v1::Entry entry;
  entry.set_kind(kind);
  entry.set_name(request.name());
  entry.set_path(request.path());
  entry.set_content_hash(absl::StrCat("hash of ", request.path()));
  entry.set_bytes(1000);
  return entry;
}

}  // namespace

absl::StatusOr<v1::Entry> FakeRegistry::LoadState(const v1::LoadStateRequest& request) {
  ASSIGN_OR_RETURN(v1::Entry entry, EntryOfFile(request, v1::ENTRY_KIND_STATE));
  entry.set_layout(request.layout());
  if (request.has_defaults()) *entry.mutable_defaults() = request.defaults();
  ++revision_;
  return entries_[request.name()] = entry;
}

absl::StatusOr<v1::Entry> FakeRegistry::LoadAdapter(const v1::LoadAdapterRequest& request) {
  ASSIGN_OR_RETURN(v1::Entry entry, EntryOfFile(request, v1::ENTRY_KIND_ADAPTER));
  entry.set_method("lora");
  if (request.has_scaling()) entry.set_scaling(request.scaling());
  if (request.has_alpha()) entry.set_alpha(request.alpha());
  entry.set_mole_rule(request.mole_rule());
  ++revision_;
  return entries_[request.name()] = entry;
}

absl::StatusOr<v1::Entry> FakeRegistry::DefineMixture(const v1::DefineMixtureRequest& request) {
  for (const v1::StateWeight& state : request.mix().states()) {
    if (state.name().empty() || entries_.count(state.name()) != 0) continue;
    return absl::NotFoundError(absl::StrCat("state \"", state.name(), "\": not registered"));
  }
  v1::Entry& entry = entries_[request.name()];
  entry.Clear();
  entry.set_kind(v1::ENTRY_KIND_MIXTURE);
  entry.set_name(request.name());
  *entry.mutable_mix() = request.mix();
  if (request.has_defaults()) *entry.mutable_defaults() = request.defaults();
  ++revision_;
  return entry;
}

absl::Status FakeRegistry::Remove(const v1::RemoveRequest& request) {
  if (entries_.erase(request.name()) == 0) {
    return absl::NotFoundError(absl::StrCat("name: \"", request.name(), "\" is not registered"));
  }
  ++revision_;
  return absl::OkStatus();
}

v1::ListResponse FakeRegistry::List() const {
  v1::ListResponse response;
  for (const auto& [name, entry] : entries_) *response.add_entries() = entry;
  response.set_revision(revision_);
  return response;
}

std::vector<std::string> FakeRegistry::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

}  // namespace skein
