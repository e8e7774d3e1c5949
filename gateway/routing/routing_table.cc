#include "gateway/routing/routing_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "gateway/routing/stable_hash.h"
#include "gateway/routing/worker_survey.h"

namespace skein {
namespace {

// What an outcome says of the worker.
enum class Verdict { kFailure, kSuccess, kNothing };

Verdict Judge(const absl::Status& outcome) {
  switch (outcome.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return Verdict::kFailure;
    case absl::StatusCode::kCancelled:          // the client left
    case absl::StatusCode::kDeadlineExceeded:   // which the client may have chosen
    case absl::StatusCode::kResourceExhausted:  // busy, not broken
    case absl::StatusCode::kDataLoss:           // of a file that the request named
    case absl::StatusCode::kInvalidArgument:    // which takes no step to find out
      return Verdict::kNothing;
    default:
      return Verdict::kSuccess;
  }
}

const char* ChoiceName(Choice choice) {
  switch (choice) {
    case Choice::kAffine:
      return "affine";
    case Choice::kRandom:
      return "random";
    case Choice::kBound:
      return "bound";
  }
  return "";
}

}  // namespace

RoutingTable::RoutingTable(RoutingTableOptions options)
    : options_(std::move(options)), entries_(options_.entries), random_(options_.seed) {}

uint64_t RoutingTable::Add(const std::string& address) {
  const std::lock_guard<std::mutex> lock(mu_);
  KnownWorker worker;
  worker.number = ++last_number_;
  worker.address = address;
  worker.hash = StableHash(address);
  ShowInFlightLocked(worker);
  workers_[worker.number] = std::move(worker);
  return last_number_;
}

void RoutingTable::Remove(uint64_t worker) {
  const std::lock_guard<std::mutex> lock(mu_);
  const auto it = workers_.find(worker);
  if (it == workers_.end()) return;
  if (options_.metrics != nullptr) options_.metrics->workers.Remove(it->second.address);
  workers_.erase(it);
  entries_.Remove(worker);
}

template <typename Change>
bool RoutingTable::Update(uint64_t worker, Change change) {
  const std::lock_guard<std::mutex> lock(mu_);
  KnownWorker* known = FindLocked(worker);
  if (known == nullptr) return false;
  const absl::Time now = options_.clock->Steady();
  const WorkerState before = known->state(now);
  change(*known);
  return known->state(now) != before;
}

bool RoutingTable::SetLoad(uint64_t worker, const v1::WorkerLoad& load) {
  return Update(worker, [this, &load](KnownWorker& known) {
    const bool was_stalled = known.stalled;
    known.SetLoad(load, options_.stall_after);
    entries_.SetLoad(known.number, known.address, load, options_.clock->Steady());
    if (!known.stalled || was_stalled) return;
    LogWarning("worker is stalled", {{"worker", known.address}});
    if (options_.metrics != nullptr) options_.metrics->CountEjection("stall");
  });
}

bool RoutingTable::SetModels(uint64_t worker, const v1::ListModelsResponse& models) {
  return Update(worker, [&models](KnownWorker& known) {
    known.infos.clear();
    for (const v1::ModelInfo& model : models.models()) known.infos[model.name()] = model;
  });
}

bool RoutingTable::SetDown(uint64_t worker) {
  return Update(worker, [this](KnownWorker& known) {
    entries_.SetDown(known.number);
    known.connected = false;
    known.stalled = false;
    known.ready.clear();
    known.resident.clear();
    known.of_others = 0;
  });
}

absl::StatusOr<PickedWorker> RoutingTable::Pick(const PickRequest& request) {
  const std::lock_guard<std::mutex> lock(mu_);
  std::string model = request.model;
  if (model.empty()) {
    ASSIGN_OR_RETURN(model, OnlyModel(workers_));
  }
  const absl::Time now = options_.clock->Steady();
  Usable usable = UsableLocked(model, request, now);
  // Only a request that shows whether steps work, has not failed yet, and can go on elsewhere.
  if (!usable.in.empty() && !usable.due.empty() && request.avoid.empty() && request.sequences > 0) {
    return BeginCallLocked(*usable.due.front(), request.sequences, /*probe=*/true, now);
  }
  // Ejected workers are better than none.
  if (usable.in.empty()) usable.in = std::move(usable.ejected);
  if (usable.in.empty()) return WhyNobodyLocked(model, request);
  return BeginCallLocked(ChooseLocked(usable.in, model, request), request.sequences,
                         /*probe=*/false, now);
}

absl::StatusOr<std::vector<PickedWorker>> RoutingTable::PickAll(const std::string& name) {
  const std::lock_guard<std::mutex> lock(mu_);
  std::string model = name;
  if (model.empty()) {
    ASSIGN_OR_RETURN(model, OnlyModel(workers_));
  }
  const absl::Time now = options_.clock->Steady();
  std::vector<PickedWorker> picked;
  for (auto& [number, worker] : workers_) {
    if (!worker.IsReady() || !worker.Serves(model)) continue;
    picked.push_back(BeginCallLocked(worker, /*sequences=*/0, /*probe=*/false, now));
  }
  if (picked.empty()) return WhyNobodyServes(workers_, model, {});
  return picked;
}

std::vector<PickedWorker> RoutingTable::PickConnected() {
  const std::lock_guard<std::mutex> lock(mu_);
  const absl::Time now = options_.clock->Steady();
  std::vector<PickedWorker> picked;
  for (auto& [number, worker] : workers_) {
    if (!worker.connected || worker.draining) continue;
    picked.push_back(BeginCallLocked(worker, /*sequences=*/0, /*probe=*/false, now));
  }
  return picked;
}

int RoutingTable::NumServing(const std::string& model,
                             const std::set<std::string>& addresses) const {
  const std::lock_guard<std::mutex> lock(mu_);
  return static_cast<int>(std::count_if(workers_.begin(), workers_.end(), [&](const auto& item) {
    const KnownWorker& worker = item.second;
    return addresses.count(worker.address) != 0 && worker.IsReady() && worker.Serves(model);
  }));
}

RoutingTable::Usable RoutingTable::UsableLocked(const std::string& model,
                                                const PickRequest& request, absl::Time now) {
  Usable usable;
  const Holding wanted = WantedLocked(model, request);
  for (auto& [number, worker] : workers_) {
    if (!CouldServe(worker, model, request)) continue;
    if (wanted == Holding::kNo || entries_.Has(number, model, request.entries) < wanted) continue;
    if (worker.stalled) {
      usable.ejected.push_back(&worker);
      continue;
    }
    const Ejection::State state = worker.ejection.state(now);
    (state == Ejection::State::kIn ? usable.in : usable.ejected).push_back(&worker);
    if (state == Ejection::State::kDue && !worker.probing) usable.due.push_back(&worker);
  }
  return usable;
}

// The best that there is: a worker that has what the request names before one that might.
Holding RoutingTable::WantedLocked(const std::string& model, const PickRequest& request) const {
  if (request.entries.empty()) return Holding::kYes;
  Holding best = Holding::kNo;
  for (const auto& [number, worker] : workers_) {
    if (!CouldServe(worker, model, request)) continue;
    best = std::max(best, entries_.Has(number, model, request.entries));
  }
  return best;
}

absl::Status RoutingTable::WhyNobodyLocked(const std::string& model,
                                           const PickRequest& request) const {
  const bool lacking = std::any_of(workers_.begin(), workers_.end(), [&](const auto& item) {
    return CouldServe(item.second, model, request);
  });
  if (!lacking) return WhyNobodyServes(workers_, model, request);
  for (const std::string& name : request.entries) {
    const bool somewhere = std::any_of(workers_.begin(), workers_.end(), [&](const auto& item) {
      return item.second.infos.count(model) != 0 &&
             entries_.Has(item.first, model, {name}) == Holding::kYes;
    });
    if (somewhere) continue;
    return absl::NotFoundError(absl::StrCat("conditioning: \"", model,
                                            "\" has no state, mixture or adapter \"", name, "\""));
  }
  return absl::UnavailableError(absl::StrCat("no worker of \"", model,
                                             "\" that is ready has all of ",
                                             absl::StrJoin(request.entries, ", ")));
}

KnownWorker& RoutingTable::ChooseLocked(const std::vector<KnownWorker*>& workers,
                                        const std::string& model, const PickRequest& request) {
  std::vector<Candidate> candidates;
  candidates.reserve(workers.size());
  for (const KnownWorker* worker : workers) {
    candidates.push_back({.hash = worker->hash,
                          .load = worker->load(),
                          .slots = worker->slots(model),
                          .num_resident = worker->NumResident(request.entries)});
  }
  ChoiceInput input = {.key = {},
                       .sequences = static_cast<double>(request.sequences),
                       .load_bound = options_.load_bound,
                       .random = random_()};
  if (!request.affinity_key.empty()) input.key = StableHash(request.affinity_key);
  const ChosenWorker chosen = ChooseWorker(candidates, input);
  if (options_.metrics != nullptr) options_.metrics->CountPick(ChoiceName(chosen.choice));
  return *workers[chosen.index];
}

PickedWorker RoutingTable::BeginCallLocked(KnownWorker& worker, int sequences, bool probe,
                                           absl::Time now) {
  const uint64_t number = ++last_number_;
  calls_[number] = {.worker = worker.number,
                    .sequences = sequences,
                    .started = now,
                    .answered = false,
                    .probe = probe};
  worker.in_flight += sequences;
  if (probe) {
    worker.probing = true;
    if (options_.metrics != nullptr) options_.metrics->CountPick("probe");
  }
  ShowInFlightLocked(worker);
  return {.call = number, .worker = worker.number, .address = worker.address};
}

void RoutingTable::Answered(uint64_t call) {
  const std::lock_guard<std::mutex> lock(mu_);
  const auto it = calls_.find(call);
  if (it == calls_.end() || it->second.answered) return;
  it->second.answered = true;
  KnownWorker* worker = FindLocked(it->second.worker);
  if (worker == nullptr || it->second.sequences == 0) return;
  if (worker->ejection.OnAnswer(it->second.started)) {
    LogInfo("worker is back", {{"worker", worker->address}});
  }
}

void RoutingTable::End(uint64_t call, const absl::Status* outcome) {
  const std::lock_guard<std::mutex> lock(mu_);
  const auto it = calls_.find(call);
  if (it == calls_.end()) return;
  const Call ended = it->second;
  calls_.erase(it);
  KnownWorker* worker = FindLocked(ended.worker);
  if (worker == nullptr) return;
  worker->in_flight -= ended.sequences;
  if (ended.probe) worker->probing = false;
  ShowInFlightLocked(*worker);
  if (outcome != nullptr) JudgeLocked(*worker, ended, *outcome);
}

void RoutingTable::JudgeLocked(KnownWorker& worker, const Call& call, const absl::Status& outcome) {
  if (options_.metrics != nullptr) {
    options_.metrics->workers.CountRequest(
        worker.address, absl::AsciiStrToLower(absl::StatusCodeToString(outcome.code())));
  }
  const absl::Time now = options_.clock->Steady();
  switch (Judge(outcome)) {
    case Verdict::kNothing:
      return;
    case Verdict::kSuccess:
      if (call.sequences > 0) worker.ejection.OnSuccess(options_.ejection, call.started, now);
      return;
    case Verdict::kFailure:
      break;
  }
  if (!worker.connected || worker.draining) return;  // it is out already, and no wonder
  if (!worker.ejection.OnFailure(options_.ejection, call.started, now)) return;
  if (options_.metrics != nullptr) {
    options_.metrics->CountEjection(call.probe ? "probe" : "failures");
  }
  LogWarning("worker ejected",
             {{"worker", worker.address},
              {"for_s", absl::StrCat(absl::ToDoubleSeconds(worker.ejection.duration()))},
              {"last_failure", std::string(outcome.message())}});
}

void RoutingTable::ShowInFlightLocked(const KnownWorker& worker) const {
  if (options_.metrics == nullptr) return;
  options_.metrics->workers.SetInFlight(worker.address, worker.in_flight);
}

KnownWorker* RoutingTable::FindLocked(uint64_t worker) {
  const auto it = workers_.find(worker);
  return it == workers_.end() ? nullptr : &it->second;
}

std::vector<v1::ModelInfo> RoutingTable::Models() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return ReadyModels(workers_);
}

int RoutingTable::NumReady() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return static_cast<int>(std::count_if(workers_.begin(), workers_.end(),
                                        [](const auto& entry) { return entry.second.IsReady(); }));
}

std::map<std::string, int> RoutingTable::NumReadyByModel() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return skein::NumReadyByModel(workers_);
}

std::map<WorkerState, int> RoutingTable::States() const {
  const std::lock_guard<std::mutex> lock(mu_);
  std::map<WorkerState, int> counts;
  for (const WorkerState state : kWorkerStates) counts[state] = 0;
  const absl::Time now = options_.clock->Steady();
  for (const auto& [number, worker] : workers_) ++counts[worker.state(now)];
  return counts;
}

}  // namespace skein
