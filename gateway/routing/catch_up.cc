#include "gateway/routing/catch_up.h"

#include <algorithm>
#include <utility>

namespace skein {
namespace {

constexpr size_t kMaxRemoved = 4096;  // names of one model that are remembered

bool WillPass(const absl::Status& outcome) {
  switch (outcome.code()) {
    case absl::StatusCode::kOk:  // the list has yet to show it
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kCancelled:
      return true;
    default:
      return false;
  }
}

// Nothing that cannot be asked for with what the list says.
bool CanBePut(const v1::Entry& entry, const EntryMap& mine) {
  if (entry.kind() == v1::ENTRY_KIND_STATE || entry.kind() == v1::ENTRY_KIND_ADAPTER) {
    return !entry.path().empty();
  }
  if (entry.kind() != v1::ENTRY_KIND_MIXTURE) return false;
  return std::all_of(entry.mix().states().begin(), entry.mix().states().end(),
                     [&mine](const v1::StateWeight& state) {
                       return state.name().empty() || mine.count(state.name()) != 0;
                     });
}

v1::LoadAdapterRequest PutAdapter(const std::string& model, const v1::Entry& entry) {
  v1::LoadAdapterRequest request;
  request.set_model(model);
  request.set_name(entry.name());
  request.set_path(entry.path());
  if (entry.has_scaling()) request.set_scaling(entry.scaling());
  if (entry.has_alpha()) request.set_alpha(entry.alpha());
  request.set_mole_rule(entry.mole_rule());
  return request;
}

EntryChange Put(const std::string& model, const v1::Entry& entry) {
  if (entry.kind() == v1::ENTRY_KIND_STATE) {
    v1::LoadStateRequest request;
    request.set_model(model);
    request.set_name(entry.name());
    request.set_path(entry.path());
    request.set_layout(entry.layout());
    if (entry.has_defaults()) *request.mutable_defaults() = entry.defaults();
    return request;
  }
  if (entry.kind() == v1::ENTRY_KIND_ADAPTER) return PutAdapter(model, entry);
  v1::DefineMixtureRequest request;
  request.set_model(model);
  request.set_name(entry.name());
  *request.mutable_mix() = entry.mix();
  if (entry.has_defaults()) *request.mutable_defaults() = entry.defaults();
  return request;
}

EntryChange Drop(const std::string& model, const v1::Entry& entry) {
  v1::RemoveRequest request;
  request.set_model(model);
  request.set_kind(entry.kind());
  request.set_name(entry.name());
  return request;
}

}  // namespace

std::pair<std::string, std::string> SubjectOf(const EntryChange& change) {
  return std::visit(
      [](const auto& request) { return std::make_pair(request.model(), request.name()); }, change);
}

void CatchUp::Begin(uint64_t worker, KnownEntries& known, absl::Time now) {
  Forget(worker);
  known.is_new = true;
  known.new_until = now + options_.settle;
}

void CatchUp::Forget(uint64_t worker) {
  std::erase_if(attempts_, [&](const auto& item) { return std::get<0>(item.first) == worker; });
  std::erase_if(put_, [&](const Key& key) { return std::get<0>(key) == worker; });
}

void CatchUp::Compare(uint64_t worker, const std::string& model, const EntryMap& before,
                      const EntryMap& after) {
  std::map<std::string, std::string>& removed = removed_[model];
  for (const auto& [name, entry] : after) {
    const auto old = before.find(name);
    if (old != before.end() && ContentOf(old->second) == ContentOf(entry)) continue;
    if (put_.erase({worker, model, name}) == 0 && WasRemoved(model, entry)) removed.erase(name);
  }
  for (const auto& [name, entry] : before) {
    const auto now = after.find(name);
    if (now != after.end() && ContentOf(now->second) == ContentOf(entry)) continue;
    if (removed.size() >= kMaxRemoved) removed.erase(removed.begin());
    removed[name] = ContentOf(entry);
  }
}

bool CatchUp::WasRemoved(const std::string& model, const v1::Entry& entry) const {
  const auto names = removed_.find(model);
  if (names == removed_.end()) return false;
  const auto content = names->second.find(entry.name());
  return content != names->second.end() && content->second == ContentOf(entry);
}

std::optional<EntryChange> CatchUp::Next(uint64_t worker, EntriesByWorker& workers,
                                         absl::Time now) {
  KnownEntries& known = workers.at(worker);
  if (!known.connected || !known.is_new) return std::nullopt;
  bool waiting = IsOpen(worker, now);
  for (const std::string& model : known.models) {
    if (!known.Takes(model)) continue;
    for (const auto& [number, peer] : workers) {
      waiting = waiting || (peer.Takes(model) && !peer.IsCurrent(model));
    }
    if (!known.IsCurrent(model)) continue;
    std::optional<EntryChange> change = NextOf(worker, model, workers, now);
    if (change.has_value()) return change;
  }
  if (!waiting && now >= known.new_until) {
    known.is_new = false;
    Forget(worker);
  }
  return std::nullopt;
}

std::optional<EntryChange> CatchUp::NextOf(uint64_t worker, const std::string& model,
                                           const EntriesByWorker& workers, absl::Time now) {
  const EntryMap& mine = workers.at(worker).lists.at(model).entries;
  const EntryMap wanted = Wanted(worker, model, workers);
  // States before the mixtures of them.
  for (const v1::EntryKind kind :
       {v1::ENTRY_KIND_STATE, v1::ENTRY_KIND_ADAPTER, v1::ENTRY_KIND_MIXTURE}) {
    std::optional<EntryChange> change = NextPut(worker, model, kind, wanted, mine, now);
    if (change.has_value()) return change;
  }
  for (const v1::EntryKind kind :
       {v1::ENTRY_KIND_MIXTURE, v1::ENTRY_KIND_STATE, v1::ENTRY_KIND_ADAPTER}) {
    for (const auto& [name, entry] : mine) {
      if (entry.kind() != kind || !WasRemoved(model, entry) || wanted.count(name) != 0) continue;
      if (Take({worker, model, name}, now)) return Drop(model, entry);
    }
  }
  return std::nullopt;
}

std::optional<EntryChange> CatchUp::NextPut(uint64_t worker, const std::string& model,
                                            v1::EntryKind kind, const EntryMap& wanted,
                                            const EntryMap& mine, absl::Time now) {
  for (const auto& [name, entry] : wanted) {
    const auto own = mine.find(name);
    const bool good = own != mine.end() && !WasRemoved(model, own->second);
    if (good || entry.kind() != kind || !CanBePut(entry, mine)) continue;
    if (!Take({worker, model, name}, now)) continue;
    put_.insert({worker, model, name});
    return Put(model, entry);
  }
  return std::nullopt;
}

// What the peers have; those first that are not new themselves.
EntryMap CatchUp::Wanted(uint64_t worker, const std::string& model,
                         const EntriesByWorker& workers) const {
  EntryMap wanted;
  for (const bool is_new : {false, true}) {
    for (const auto& [number, peer] : workers) {
      if (number == worker || peer.is_new != is_new) continue;
      if (!peer.Takes(model) || !peer.IsCurrent(model)) continue;
      for (const auto& [name, entry] : peer.lists.at(model).entries) {
        if (!WasRemoved(model, entry)) wanted.emplace(name, entry);
      }
    }
  }
  return wanted;
}

void CatchUp::Done(uint64_t worker, const EntryChange& change, const absl::Status& outcome,
                   absl::Time now) {
  const auto [model, name] = SubjectOf(change);
  const auto it = attempts_.find({worker, model, name});
  if (it == attempts_.end()) return;  // of an earlier connection
  Attempt& attempt = it->second;
  if (!outcome.ok()) put_.erase(it->first);
  attempt.phase = WillPass(outcome) ? Phase::kWaiting : Phase::kGivenUp;
  attempt.delay = std::clamp(attempt.delay * 2, options_.first_retry, options_.last_retry);
  attempt.next = now + attempt.delay;
}

// A change has not come to its end, or failed and comes again.
bool CatchUp::IsOpen(uint64_t worker, absl::Time now) const {
  return std::any_of(attempts_.begin(), attempts_.end(), [&](const auto& item) {
    const Attempt& attempt = item.second;
    return std::get<0>(item.first) == worker &&
           (attempt.phase == Phase::kUnderWay ||
            (attempt.phase == Phase::kWaiting && now < attempt.next));
  });
}

bool CatchUp::Take(const Key& key, absl::Time now) {
  const auto [it, first] = attempts_.try_emplace(key);
  Attempt& attempt = it->second;
  if (!first && (attempt.phase != Phase::kWaiting || now < attempt.next)) return false;
  attempt.phase = Phase::kUnderWay;
  return true;
}

}  // namespace skein
