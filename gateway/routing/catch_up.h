// What a new worker needs to have all that its peers have: pure decisions.
//
//   - A worker is new until it has been connected for a while and lacks nothing of its peers'
//     lists. What it lacks is loaded into it.
//   - A worker that is not new any more and loses an entry has been told to: it is not put back.
//   - What vanishes from the list of a worker that goes on was removed or replaced. It is
//     remembered by name and content: no new worker gets it, and one that brings it along, from
//     before that, gets what its peers have now, or is told to remove it. To load it again ends
//     that.
//   - A worker that has another content under a name keeps it: that is for a person to decide.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "gateway/routing/known_entries.h"
#include "skein/v1/registry.pb.h"

namespace skein {

using EntryChange = std::variant<v1::LoadStateRequest, v1::DefineMixtureRequest, v1::RemoveRequest,
                                 v1::LoadAdapterRequest>;

struct CatchUpOptions {
  absl::Duration settle = absl::Seconds(10);
  absl::Duration first_retry = absl::Seconds(1);  // of a change; then twice as long
  absl::Duration last_retry = absl::Minutes(1);
};

// Not thread-safe.
class CatchUp {
 public:
  explicit CatchUp(CatchUpOptions options) : options_(options) {}

  // The worker connects, or has lost what it had.
  void Begin(uint64_t worker, KnownEntries& known, absl::Time now);
  void Forget(uint64_t worker);
  // The worker, without having been away, lists `after` instead of `before`.
  void Compare(uint64_t worker, const std::string& model, const EntryMap& before,
               const EntryMap& after);

  // `entry`, with this content, vanished from a list, and has not been loaded again since.
  bool WasRemoved(const std::string& model, const v1::Entry& entry) const;

  // The next change for `worker`, one of `workers`. It is under way until Done. Without any the
  // worker may cease to be new.
  std::optional<EntryChange> Next(uint64_t worker, EntriesByWorker& workers, absl::Time now);
  void Done(uint64_t worker, const EntryChange& change, const absl::Status& outcome,
            absl::Time now);

 private:
  enum class Phase { kUnderWay, kWaiting, kGivenUp };
  struct Attempt {
    Phase phase = Phase::kUnderWay;
    absl::Duration delay = absl::ZeroDuration();
    absl::Time next = absl::InfinitePast();
  };
  using Key = std::tuple<uint64_t, std::string, std::string>;  // worker, model, name

  std::optional<EntryChange> NextOf(uint64_t worker, const std::string& model,
                                    const EntriesByWorker& workers, absl::Time now);
  std::optional<EntryChange> NextPut(uint64_t worker, const std::string& model, v1::EntryKind kind,
                                     const EntryMap& wanted, const EntryMap& mine, absl::Time now);
  EntryMap Wanted(uint64_t worker, const std::string& model, const EntriesByWorker& workers) const;
  bool IsOpen(uint64_t worker, absl::Time now) const;
  bool Take(const Key& key, absl::Time now);

  const CatchUpOptions options_;
  std::map<Key, Attempt> attempts_;
  std::set<Key> put_;  // by changes of ours, and not yet seen in a list
  std::map<std::string, std::map<std::string, std::string>> removed_;  // model, name: content
};

// Model and name that a change is about.
std::pair<std::string, std::string> SubjectOf(const EntryChange& change);

}  // namespace skein
