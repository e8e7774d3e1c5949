#include "gateway/routing/known_worker.h"

#include <algorithm>

namespace skein {
const char* WorkerStateName(WorkerState state) {
  switch (state) {
    case WorkerState::kReady:
      return "ready";
    case WorkerState::kLoading:
      return "loading";
    case WorkerState::kDraining:
      return "draining";
    case WorkerState::kEjected:
      return "ejected";
    case WorkerState::kDown:
      return "down";
  }
  return "";
}

bool KnownWorker::IsReady() const {
  return connected && !draining &&
         std::any_of(ready.begin(), ready.end(),
                     [this](const std::string& model) { return infos.count(model) != 0; });
}

WorkerState KnownWorker::state(absl::Time now) const {
  if (!connected) return WorkerState::kDown;
  if (draining) return WorkerState::kDraining;
  if (!IsReady()) return WorkerState::kLoading;
  return !stalled && ejection.state(now) == Ejection::State::kIn ? WorkerState::kReady
                                                                 : WorkerState::kEjected;
}

double KnownWorker::slots(const std::string& model) const {
  const auto info = infos.find(model);
  return info == infos.end() ? 1 : std::max(1u, info->second.max_sequences());
}

int KnownWorker::NumResident(const std::vector<std::string>& entries) const {
  return static_cast<int>(
      std::count_if(entries.begin(), entries.end(),
                    [this](const std::string& entry) { return resident.count(entry) != 0; }));
}

void KnownWorker::SetLoad(const v1::WorkerLoad& load, absl::Duration stall_after) {
  if (!connected) ejection.OnReconnect();
  connected = true;
  draining = load.draining();
  stalled = absl::Milliseconds(load.stalled_ms()) >= stall_after;
  ready = std::set<std::string>(load.ready_models().begin(), load.ready_models().end());
  resident = std::set<std::string>(load.resident().begin(), load.resident().end());
  // A call of ours that is on its way is not in the report, which then counts for less; the next
  // one, which the call's arrival brings, puts it right.
  const uint64_t reported = uint64_t{load.running()} + load.waiting();
  of_others = std::max(0, static_cast<int>(std::min<uint64_t>(reported, 1 << 24)) - in_flight);
}

}  // namespace skein
