#include "gateway/routing/entry_table.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace skein {

void EntryTable::SetLoad(uint64_t worker, const std::string& address, const v1::WorkerLoad& load,
                         absl::Time now) {
  const std::lock_guard<std::mutex> lock(mu_);
  KnownEntries& known = workers_[worker];
  known.address = address;
  if (!known.connected || load.registry_revision() < known.revision) {
    catch_up_.Begin(worker, known, now);
    for (auto& [model, list] : known.lists) list = {.entries = std::move(list.entries)};
  }
  std::set<std::string> models = {load.ready_models().begin(), load.ready_models().end()};
  changed_ = changed_ || !known.connected || known.revision != load.registry_revision() ||
             known.models != models;
  known.connected = true;
  known.revision = load.registry_revision();
  known.models = std::move(models);
  if (known.models.empty()) return;  // it may only be loading
  std::erase_if(known.lists,
                [&known](const auto& item) { return known.models.count(item.first) == 0; });
}

void EntryTable::SetDown(uint64_t worker) {
  const std::lock_guard<std::mutex> lock(mu_);
  const auto known = workers_.find(worker);
  if (known == workers_.end()) return;
  known->second.connected = false;
  DropRemovedLocked(known->second);
  changed_ = true;
}

void EntryTable::Remove(uint64_t worker) {
  const std::lock_guard<std::mutex> lock(mu_);
  workers_.erase(worker);
  changed_ = true;
  catch_up_.Forget(worker);
}

void EntryTable::Touch(const std::vector<std::string>& addresses) {
  const std::lock_guard<std::mutex> lock(mu_);
  for (auto& [number, known] : workers_) {
    if (std::find(addresses.begin(), addresses.end(), known.address) == addresses.end()) continue;
    for (auto& [model, list] : known.lists) list.touched = list.touched_again = true;
  }
}

std::string EntryTable::ListDue(uint64_t worker, absl::Time now) const {
  const std::lock_guard<std::mutex> lock(mu_);
  const auto known = workers_.find(worker);
  if (known == workers_.end() || !known->second.connected) return "";
  for (const std::string& model : known->second.models) {
    if (known->second.IsCurrent(model)) continue;
    const auto list = known->second.lists.find(model);
    if (list == known->second.lists.end() || now >= list->second.next_try) return model;
  }
  return "";
}

void EntryTable::BeginList(uint64_t worker, const std::string& model) {
  const std::lock_guard<std::mutex> lock(mu_);
  const auto known = workers_.find(worker);
  if (known == workers_.end()) return;
  EntryList& mine = known->second.lists[model];
  mine.touched_again = false;
  mine.asked_revision = known->second.revision;
}

void EntryTable::SetList(uint64_t worker, const std::string& model, const v1::ListResponse& list) {
  const std::lock_guard<std::mutex> lock(mu_);
  const auto known = workers_.find(worker);
  if (known == workers_.end() || !known->second.connected) return;
  EntryList& mine = known->second.lists[model];
  EntryMap entries;
  for (const v1::Entry& entry : list.entries()) entries[entry.name()] = entry;
  if (mine.listed) catch_up_.Compare(worker, model, mine.entries, entries);
  mine.entries = std::move(entries);
  for (auto& [number, other] : workers_) {
    if (!other.connected) DropRemovedLocked(other);
  }
  mine.listed = true;
  mine.touched = mine.touched_again;
  mine.supported = true;
  mine.revision = list.revision();
  changed_ = true;
}

void EntryTable::DropRemovedLocked(KnownEntries& known) {
  for (auto& [model, list] : known.lists) {
    std::erase_if(list.entries, [this, &model = model](const auto& item) {
      return catch_up_.WasRemoved(model, item.second);
    });
  }
}

void EntryTable::SetNoList(uint64_t worker, const std::string& model, const absl::Status& why,
                           absl::Time now) {
  const std::lock_guard<std::mutex> lock(mu_);
  const auto known = workers_.find(worker);
  if (known == workers_.end() || !known->second.connected) return;
  EntryList& mine = known->second.lists[model];
  changed_ = true;
  if (absl::IsUnimplemented(why)) {
    mine.listed = true;
    mine.touched = mine.touched_again;
    mine.supported = false;
    mine.revision = mine.asked_revision;
    mine.entries.clear();
  } else {
    mine.touched = true;
    mine.next_try = now + options_.list_retry;
  }
}

std::optional<EntryChange> EntryTable::NextChange(uint64_t worker, absl::Time now) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (workers_.count(worker) == 0) return std::nullopt;
  return catch_up_.Next(worker, workers_, now);
}

void EntryTable::SetChanged(uint64_t worker, const EntryChange& change, const absl::Status& outcome,
                            absl::Time now) {
  const std::lock_guard<std::mutex> lock(mu_);
  const auto known = workers_.find(worker);
  if (known == workers_.end()) return;
  catch_up_.Done(worker, change, outcome, now);
  const auto list = known->second.lists.find(SubjectOf(change).first);
  if (list == known->second.lists.end()) return;
  list->second.touched = list->second.touched_again = true;
}

Holding EntryTable::Has(uint64_t worker, const std::string& model,
                        const std::vector<std::string>& names) const {
  if (names.empty()) return Holding::kYes;
  const std::lock_guard<std::mutex> lock(mu_);
  const auto known = workers_.find(worker);
  if (known == workers_.end()) return Holding::kMaybe;
  const Holding holding = known->second.Has(model, names);
  if (holding != Holding::kMaybe || !known->second.is_new) return holding;
  const bool is_behind = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return BestLocked(model, name) == Holding::kYes;
  });
  return is_behind ? Holding::kNo : holding;
}

Holding EntryTable::Has(const std::string& model, const std::string& name) const {
  const std::lock_guard<std::mutex> lock(mu_);
  const Holding best = BestLocked(model, name);
  if (best != Holding::kNo) return best;
  const bool may_come_back = std::any_of(workers_.begin(), workers_.end(), [&](const auto& item) {
    const KnownEntries& known = item.second;
    return !known.connected && known.lists.count(model) != 0 &&
           known.Has(model, name) == Holding::kYes;
  });
  return may_come_back ? Holding::kMaybe : Holding::kNo;
}

bool EntryTable::AreCurrent(const std::string& model,
                            const std::set<std::string>& addresses) const {
  const std::lock_guard<std::mutex> lock(mu_);
  return std::all_of(workers_.begin(), workers_.end(), [&](const auto& item) {
    const KnownEntries& known = item.second;
    return addresses.count(known.address) == 0 || !known.connected || known.IsCurrent(model);
  });
}

Holding EntryTable::BestLocked(const std::string& model, const std::string& name) const {
  Holding best = Holding::kNo;
  for (const auto& [number, known] : workers_) {
    if (!known.connected || known.models.count(model) == 0) continue;
    best = std::max(best, known.Has(model, name));
  }
  return best;
}

std::vector<ModelEntry> EntryTable::Entries(const std::string& model) const {
  const std::lock_guard<std::mutex> lock(mu_);
  return EntriesOf(workers_, model);
}

v1::EntryKind EntryTable::KindOf(const std::string& model, const std::string& name) const {
  const std::lock_guard<std::mutex> lock(mu_);
  const v1::Entry* const entry = FindEntry(workers_, model, name);
  return entry == nullptr ? v1::ENTRY_KIND_UNSPECIFIED : entry->kind();
}

std::map<std::string, RegistryDifferences> EntryTable::Differences(
    absl::Time now, std::vector<std::string>& conflicts) {
  const std::lock_guard<std::mutex> lock(mu_);
  std::set<std::string> models;
  for (const auto& [number, known] : workers_) {
    for (const std::string& model : known.models) {
      if (known.Takes(model)) models.insert(model);
    }
  }
  std::erase_if(differing_, [&models](const auto& item) { return models.count(item.first) == 0; });
  for (const std::string& model : models) {
    // Until all have answered, what was found last holds on.
    if (changed_ && AllCurrentLocked(model)) CompareLocked(model, now);
  }
  changed_ = false;
  std::map<std::string, RegistryDifferences> by_model;
  for (const std::string& model : models) {
    by_model[model] = CountLocked(model, now, conflicts);
  }
  return by_model;
}

bool EntryTable::AllCurrentLocked(const std::string& model) const {
  return std::all_of(workers_.begin(), workers_.end(), [&model](const auto& item) {
    return !item.second.Takes(model) || item.second.IsCurrent(model);
  });
}

void EntryTable::CompareLocked(const std::string& model, absl::Time now) {
  const auto num_workers = static_cast<size_t>(
      std::count_if(workers_.begin(), workers_.end(),
                    [&model](const auto& item) { return item.second.Takes(model); }));
  Differing found;
  const auto keep = [now](const Names& from, const std::string& name, Names& to) {
    const auto old = from.find(name);
    to[name] = old == from.end() ? Difference{.since = now} : old->second;
  };
  Differing& before = differing_[model];
  for (const ModelEntry& known : EntriesOf(workers_, model)) {
    const std::string& name = known.entry.name();
    if (known.workers.size() < num_workers) keep(before.missing, name, found.missing);
    if (known.differs) keep(before.conflicting, name, found.conflicting);
  }
  before = std::move(found);
}

RegistryDifferences EntryTable::CountLocked(const std::string& model, absl::Time now,
                                            std::vector<std::string>& conflicts) {
  const auto counts = [&](const auto& item) { return now >= item.second.since + options_.grace; };
  Differing& differing = differing_[model];
  RegistryDifferences differences;
  differences.missing =
      static_cast<int>(std::count_if(differing.missing.begin(), differing.missing.end(), counts));
  for (auto& item : differing.conflicting) {
    if (!counts(item)) continue;
    ++differences.conflicting;
    if (std::exchange(item.second.told, true)) continue;
    conflicts.push_back(absl::StrCat(model, " ", item.first));
  }
  return differences;
}

}  // namespace skein
