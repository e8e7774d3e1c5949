// The states, mixtures and adapters of one worker as it lists them.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "skein/v1/registry.pb.h"

namespace skein {

using EntryMap = std::map<std::string, v1::Entry>;  // by name

// What a worker says of an entry by way of its list.
enum class Holding {
  kNo,
  kMaybe,  // only the worker knows: it has changed since it listed, or has no registry
  kYes,
};

struct EntryList {
  bool listed = false;                         // since the worker connected
  bool touched = false;                        // the worker was changed: another list is due
  bool touched_again = false;                  // since that one was asked for
  uint64_t asked_revision = 0;                 // the worker's when it was last asked for the list
  bool supported = true;                       // the worker has a registry
  uint64_t revision = 0;                       // of the list
  EntryMap entries = {};                       // kept while the worker is down
  absl::Time next_try = absl::InfinitePast();  // of asking for it
};

struct KnownEntries {
  std::string address;
  bool connected = false;
  uint64_t revision = 0;  // of the last load
  std::set<std::string> models;
  std::map<std::string, EntryList> lists;  // by model

  // Its peers' entries are loaded into it.
  bool is_new = false;
  absl::Time new_until = absl::InfinitePast();  // at least

  // The list is as new as the last load.
  bool IsCurrent(const std::string& model) const;
  // Connected, serves the model and has a registry. Its list may not be current.
  bool Takes(const std::string& model) const;
  Holding Has(const std::string& model, const std::string& name) const;
  // The worst of several.
  Holding Has(const std::string& model, const std::vector<std::string>& names) const;
};

using EntriesByWorker = std::map<uint64_t, KnownEntries>;

// What an entry stands for, whatever its name: two workers that agree on it answer alike.
std::string ContentOf(const v1::Entry& entry);

// One entry of a model, over all connected workers.
struct ModelEntry {
  v1::Entry entry = {};                   // as the first of them lists it
  std::vector<std::string> workers = {};  // addresses of those that have it
  bool differs = false;                   // they have different contents under this name
};

// Of the connected workers' lists, current or not: the first that has the entry; null if none does.
const v1::Entry* FindEntry(const EntriesByWorker& workers, const std::string& model,
                           const std::string& name);
// All of them, by name.
std::vector<ModelEntry> EntriesOf(const EntriesByWorker& workers, const std::string& model);

}  // namespace skein
