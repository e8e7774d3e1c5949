// One worker as the routing table knows it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"

#include "gateway/routing/ejection.h"
#include "skein/v1/workers.pb.h"

namespace skein {

enum class WorkerState { kReady, kLoading, kDraining, kEjected, kDown };
constexpr WorkerState kWorkerStates[] = {WorkerState::kReady, WorkerState::kLoading,
                                         WorkerState::kDraining, WorkerState::kEjected,
                                         WorkerState::kDown};
const char* WorkerStateName(WorkerState state);

struct KnownWorker {
  uint64_t number = 0;
  std::string address;
  uint64_t hash = 0;  // of the address
  bool connected = false;
  bool draining = false;
  bool stalled = false;                        // it has work, and has not done a step for too long
  std::set<std::string> ready;                 // of the last load
  std::set<std::string> resident;              // of the last load
  std::map<std::string, v1::ModelInfo> infos;  // of the last model list; kept while it is down

  // Sequences: what this gateway has sent and has not ended, and those of other gateways, by the
  // last load.
  int in_flight = 0;
  int of_others = 0;

  Ejection ejection;
  bool probing = false;  // a call that decides whether it comes back

  bool Serves(const std::string& model) const {
    return ready.count(model) != 0 && infos.count(model) != 0;
  }
  // Connected, not draining, and serves a model. Ejected ones too.
  bool IsReady() const;
  WorkerState state(absl::Time now) const;
  // Sequences that it has: what it reported last, plus what this gateway has sent since and less
  // what has ended since.
  double load() const { return in_flight + of_others; }
  // Sequences of `model` that it can run at once.
  double slots(const std::string& model) const;
  int NumResident(const std::vector<std::string>& entries) const;

  // Without a step for `stall_after` it is stalled.
  void SetLoad(const v1::WorkerLoad& load, absl::Duration stall_after);
};

}  // namespace skein
