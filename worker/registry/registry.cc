#include "worker/registry/registry.h"

#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/status_macros.h"
#include "worker/registry/mixture.h"

namespace skein {
namespace {

constexpr size_t kMaxListedNames = 20;

// Of adapters, or of what a request may start from.
std::string NamesOf(const EntryMap& entries, bool adapters) {
  std::vector<std::string> names;
  size_t more = 0;
  for (const auto& [name, entry] : entries) {
    if ((entry->kind == EntryKind::kAdapter) != adapters) continue;
    names.size() < kMaxListedNames ? names.push_back(name) : void(++more);
  }
  if (names.empty()) return adapters ? "no adapter is registered" : "nothing is registered";
  return absl::StrCat("expected one of ", absl::StrJoin(names, ", "),
                      more > 0 ? absl::StrCat(" and ", more, " more") : "");
}

absl::StatusOr<const RegistryEntry*> Find(const EntryMap& entries, absl::string_view name) {
  const auto it = entries.find(name);
  if (it == entries.end()) {
    return absl::NotFoundError(absl::StrCat("state \"", absl::Utf8SafeCHexEscape(name),
                                            "\": not registered, ", NamesOf(entries, false)));
  }
  if (it->second->kind != EntryKind::kAdapter) return it->second.get();
  return absl::InvalidArgumentError(absl::StrCat(
      "conditioning.entry: \"", name, "\" is an adapter, expected a state or a mixture"));
}

absl::StatusOr<std::vector<WeightedState>> ResolveMix(const EntryMap& entries, const StateMix& mix,
                                                      int max_states) {
  ASSIGN_OR_RETURN(const std::vector<MixPart> parts, NormaliseMix(mix, max_states));
  std::vector<WeightedState> states;
  states.reserve(parts.size());
  for (const MixPart& part : mix.parts) {  // those of weight 0 must exist too
    if (part.state.empty()) continue;
    ASSIGN_OR_RETURN(const RegistryEntry* entry, Find(entries, part.state));
    if (entry->kind != EntryKind::kState) {
      return absl::InvalidArgumentError(
          absl::StrCat("mix: \"", part.state, "\" is a mixture, expected states"));
    }
  }
  for (const MixPart& part : parts) {
    states.push_back(
        {part.state.empty() ? nullptr : entries.find(part.state)->second->state, part.weight});
  }
  return states;
}

template <typename T>
using Member = std::shared_ptr<const T> RegistryEntry::*;
template <typename T>
using Retired = std::vector<std::weak_ptr<const T>>;

// Keeps an eye on what leaves the registry.
template <typename T>
void RetireFrom(const EntryMap& before, const EntryMap& after, Member<T> member,
                Retired<T>& retired) {
  std::erase_if(retired, [](const auto& one) { return one.expired(); });
  std::set<const T*> kept;
  for (const auto& [name, entry] : after) kept.insert(((*entry).*member).get());
  for (const auto& [name, entry] : before) {
    const std::shared_ptr<const T>& one = (*entry).*member;
    if (one != nullptr && !kept.contains(one.get())) retired.emplace_back(one);
  }
}

template <typename T>
int CountInUse(const EntryMap& entries, Member<T> member, Retired<T>& retired) {
  std::erase_if(retired, [](const auto& one) { return one.expired(); });
  int count = static_cast<int>(retired.size());
  for (const auto& [name, entry] : entries) {
    const std::shared_ptr<const T>& one = (*entry).*member;
    count += one != nullptr && one.use_count() > 1 ? 1 : 0;
  }
  return count;
}

}  // namespace

absl::Status CheckMixtures(const EntryMap& entries) {
  for (const auto& [name, entry] : entries) {
    for (const MixPart& part : entry->mix.parts) {
      if (part.state.empty()) continue;
      const auto it = entries.find(part.state);
      if (it != entries.end() && it->second->kind == EntryKind::kState) continue;
      return absl::FailedPreconditionError(
          absl::StrCat("mixture \"", name, "\": needs the state \"", part.state, "\""));
    }
  }
  return absl::OkStatus();
}

Registry::Registry(Options options) : options_(std::move(options)) {
  auto snapshot = std::make_shared<RegistrySnapshot>();
  snapshot->revision = options_.first_revision;
  snapshot_ = std::move(snapshot);
}

std::shared_ptr<const RegistrySnapshot> Registry::snapshot() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return snapshot_;
}

absl::StatusOr<Registry::Resolved> Registry::Resolve(absl::string_view name) const {
  const std::shared_ptr<const RegistrySnapshot> now = snapshot();
  ASSIGN_OR_RETURN(const RegistryEntry* entry, Find(now->entries, name));
  Resolved resolved;
  resolved.defaults = entry->defaults;
  if (entry->kind == EntryKind::kState) {
    resolved.states.push_back({entry->state, 1});
    return resolved;
  }
  ASSIGN_OR_RETURN(resolved.states, ResolveMix(now->entries, entry->mix, options_.max_mix_states));
  return resolved;
}

absl::StatusOr<Registry::Resolved> Registry::Resolve(const StateMix& mix) const {
  const std::shared_ptr<const RegistrySnapshot> now = snapshot();
  Resolved resolved;
  ASSIGN_OR_RETURN(resolved.states, ResolveMix(now->entries, mix, options_.max_mix_states));
  return resolved;
}

absl::StatusOr<std::shared_ptr<const RegistryEntry>> Registry::ResolveAdapter(
    absl::string_view name) const {
  const std::shared_ptr<const RegistrySnapshot> now = snapshot();
  const auto it = now->entries.find(name);
  if (it == now->entries.end()) {
    return absl::NotFoundError(absl::StrCat("adapter \"", absl::Utf8SafeCHexEscape(name),
                                            "\": not registered, ", NamesOf(now->entries, true)));
  }
  if (it->second->kind == EntryKind::kAdapter) return it->second;
  return absl::InvalidArgumentError(absl::StrCat("conditioning.adapters: \"", name, "\" is a ",
                                                 EntryKindName(it->second->kind),
                                                 ", expected an adapter"));
}

absl::Status Registry::Publish(EntryMap entries) {
  RETURN_IF_ERROR(CheckMixtures(entries));
  auto next = std::make_shared<RegistrySnapshot>();
  next->entries = std::move(entries);
  std::shared_ptr<const RegistrySnapshot> before;  // freed outside the lock
  {
    const std::lock_guard<std::mutex> lock(mu_);
    next->revision = snapshot_->revision + 1;
    RetireLocked(snapshot_->entries, next->entries);
    before = std::exchange(snapshot_, next);
  }
  if (options_.on_change) options_.on_change(next);
  return absl::OkStatus();
}

void Registry::RetireLocked(const EntryMap& before, const EntryMap& after) {
  RetireFrom(before, after, &RegistryEntry::state, retired_);
  RetireFrom(before, after, &RegistryEntry::adapter, retired_adapters_);
}

int Registry::NumStatesInUse() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return CountInUse(snapshot_->entries, &RegistryEntry::state, retired_);
}

int Registry::NumAdaptersInUse() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return CountInUse(snapshot_->entries, &RegistryEntry::adapter, retired_adapters_);
}

}  // namespace skein
