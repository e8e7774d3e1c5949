#include "gateway/routing/known_entries.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace skein {

bool KnownEntries::IsCurrent(const std::string& model) const {
  const auto list = lists.find(model);
  return list != lists.end() && list->second.listed && !list->second.touched &&
         list->second.revision >= revision;
}

bool KnownEntries::Takes(const std::string& model) const {
  if (!connected || models.count(model) == 0) return false;
  const auto list = lists.find(model);
  return list == lists.end() || list->second.supported;
}

Holding KnownEntries::Has(const std::string& model, const std::string& name) const {
  const auto list = lists.find(model);
  if (list == lists.end() || !list->second.supported) return Holding::kMaybe;
  const bool has = list->second.entries.count(name) != 0;
  if (connected && !list->second.listed) return Holding::kMaybe;
  if (connected && !has && !IsCurrent(model)) return Holding::kMaybe;
  return has ? Holding::kYes : Holding::kNo;
}

Holding KnownEntries::Has(const std::string& model, const std::vector<std::string>& names) const {
  Holding worst = Holding::kYes;
  for (const std::string& name : names) worst = std::min(worst, Has(model, name));
  return worst;
}

std::string ContentOf(const v1::Entry& entry) {
  // Messages without maps, so equal ones are equal bytes.
  return absl::StrCat(entry.kind(), "\n", entry.content_hash(), "\n", entry.method(), "\n",
                      entry.mix().SerializeAsString(), "\n", entry.defaults().SerializeAsString());
}

const v1::Entry* FindEntry(const EntriesByWorker& workers, const std::string& model,
                           const std::string& name) {
  for (const auto& [number, worker] : workers) {
    const auto list = worker.lists.find(model);
    if (!worker.Takes(model) || list == worker.lists.end()) continue;
    const auto entry = list->second.entries.find(name);
    if (entry != list->second.entries.end()) return &entry->second;
  }
  return nullptr;
}

std::vector<ModelEntry> EntriesOf(const EntriesByWorker& workers, const std::string& model) {
  std::map<std::string, ModelEntry> by_name;
  for (const auto& [number, worker] : workers) {
    const auto list = worker.lists.find(model);
    if (!worker.Takes(model) || list == worker.lists.end()) continue;
    for (const auto& [name, entry] : list->second.entries) {
      ModelEntry& known = by_name[name];
      if (known.workers.empty()) known.entry = entry;
      known.differs = known.differs || ContentOf(entry) != ContentOf(known.entry);
      known.workers.push_back(worker.address);
    }
  }
  std::vector<ModelEntry> entries;
  for (auto& [name, entry] : by_name) entries.push_back(std::move(entry));
  return entries;
}

}  // namespace skein
