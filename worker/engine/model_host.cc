#include "worker/engine/model_host.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/check.h"
#include "worker/engine/refusal_reason.h"

namespace skein {
namespace {

constexpr absl::Duration kIdlePoll = absl::Milliseconds(50);
constexpr absl::Duration kLongestWait =
    absl::Hours(24 * 365);  // wait_for adds it to now, which must not overflow

bool EdgeExists(ModelState from, ModelState to) {
  switch (from) {
    case ModelState::kEmpty:
      return to == ModelState::kLoading || to == ModelState::kGone;
    case ModelState::kLoading:
      return to == ModelState::kReady || to == ModelState::kEmpty || to == ModelState::kGone;
    case ModelState::kReady:
      return to == ModelState::kUnloading || to == ModelState::kDraining;
    case ModelState::kUnloading:
      return to == ModelState::kLoading || to == ModelState::kEmpty || to == ModelState::kDraining;
    case ModelState::kDraining:
      return to == ModelState::kGone;
    case ModelState::kGone:
      return false;
  }
  return false;
}

}  // namespace

absl::string_view ModelStateName(ModelState state) {
  switch (state) {
    case ModelState::kEmpty:
      return "empty";
    case ModelState::kLoading:
      return "loading";
    case ModelState::kReady:
      return "ready";
    case ModelState::kUnloading:
      return "unloading";
    case ModelState::kDraining:
      return "draining";
    case ModelState::kGone:
      return "gone";
  }
  return "unknown";
}

ModelHost::ModelHost(Options options)
    : options_(std::move(options)),
      loader_(options_.loader),
      last_load_progress_(options_.loader.clock->Steady()) {
  const std::lock_guard<std::mutex> lock(mu_);
  SetModelLocked(options_.model.name, "");
  if (!options_.model.name.empty()) TransitionToLocked(ModelState::kLoading);
}

ModelHost::~ModelHost() {
  Served served, outgoing;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (loader_thread_.joinable()) loader_thread_.join();
  if (drainer_.joinable()) drainer_.join();
  {
    const std::lock_guard<std::mutex> lock(mu_);
    served = std::move(served_);
    outgoing = std::move(outgoing_);
  }
  // Outside the lock: the step loop reports its last load while it ends.
  served.reset();
  outgoing.reset();
}

absl::StatusOr<std::shared_ptr<ServedModel>> ModelHost::Find(absl::string_view name) const {
  const std::lock_guard<std::mutex> lock(mu_);
  if (served_ != nullptr && (name.empty() || name == status_.model)) return served_;
  return WhyNobodyLocked(name);
}

absl::Status ModelHost::WhyNobodyLocked(absl::string_view name) const {
  const std::string& model = status_.model;
  if (status_.state == ModelState::kEmpty) {
    return absl::NotFoundError(absl::StrCat(
        name.empty() ? "" : absl::StrCat("model \"", name, "\": not served here, "),
        "no model is loaded", last_failure_.empty() ? "" : absl::StrCat(" (", last_failure_, ")")));
  }
  if (!name.empty() && name != model && name != other_model_) {
    return absl::NotFoundError(
        absl::StrCat("model \"", name, "\": not served here, expected ", model));
  }
  const bool loading = status_.state == ModelState::kLoading;
  if (status_.state == ModelState::kUnloading || (loading && !name.empty() && name != model)) {
    const std::string& successor = loading ? model : other_model_;
    return WithReason(
        absl::UnavailableError(absl::StrCat(
            "model ", loading ? other_model_ : model, ": is being ",
            successor.empty() ? std::string("unloaded") : absl::StrCat("replaced by ", successor))),
        successor.empty() ? "draining" : "loading");
  }
  return WithReason(
      absl::UnavailableError(absl::StrCat("model ", model, ": is ", ModelStateName(status_.state))),
      loading ? "loading" : "draining");
}

std::string ModelHost::name() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return status_.model;
}

std::shared_ptr<WorkerMetrics> ModelHost::Metrics() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return metrics_;
}

void ModelHost::CountRefused(const absl::Status& status) {
  const std::shared_ptr<WorkerMetrics> metrics = Metrics();
  if (metrics == nullptr) return;
  metrics->CountRequest(status);
  if (const std::string reason = ReasonOf(status); !reason.empty()) metrics->CountRejected(reason);
}

void ModelHost::CountStateLoad(const absl::Status& status) {
  if (const auto metrics = Metrics(); metrics != nullptr) metrics->CountStateLoad(status);
}

void ModelHost::CountAdapterLoad(const absl::Status& status) {
  if (const auto metrics = Metrics(); metrics != nullptr) metrics->CountAdapterLoad(status);
}

void ModelHost::ReportEntriesInUse() {
  Served served;
  std::shared_ptr<WorkerMetrics> metrics;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    served = served_;
    metrics = metrics_;
  }
  if (served == nullptr || metrics == nullptr) return;
  metrics->states_in_use.Set(served->registry->NumStatesInUse());
  metrics->adapters_in_use.Set(served->registry->NumAdaptersInUse());
}

absl::Duration ModelHost::StalledFor() const {
  Served served;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (status_.state == ModelState::kLoading) {
      return options_.loader.clock->Steady() - last_load_progress_;
    }
    served = outgoing_ != nullptr ? outgoing_ : served_;
  }
  return served == nullptr ? absl::ZeroDuration() : served->loop->StalledFor();
}

void ModelHost::NoteLoadProgress() {
  const std::lock_guard<std::mutex> lock(mu_);
  last_load_progress_ = options_.loader.clock->Steady();
}

HostStatus ModelHost::status() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return status_;
}

int64_t ModelHost::Subscribe(Listener listener) {
  const std::lock_guard<std::mutex> lock(mu_);
  listener(status_);
  const int64_t id = next_listener_++;
  listeners_.emplace(id, std::move(listener));
  return id;
}

void ModelHost::Unsubscribe(int64_t id) {
  const std::lock_guard<std::mutex> lock(mu_);
  listeners_.erase(id);
}

// Before a model is ready, and once it has gone, the status is not about it.
void ModelHost::OnLoadChange(uint64_t model, const LoadSnapshot& load) {
  bool just_failed = false;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (model != number_) return;
    just_failed = load.failed && !status_.load.failed;
    status_.load = load;
    if (just_failed && status_.state == ModelState::kReady) {
      StartDrainLocked();
    } else {
      NotifyLocked();
    }
  }
  if (just_failed) ReportFailure(absl::InternalError("the model failed while it served"));
}

void ModelHost::OnRegistryChange(uint64_t model,
                                 const std::shared_ptr<const RegistrySnapshot>& registry) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (model != number_) return;
  status_.registry = registry;
  CountEntriesLocked(*registry);
  NotifyLocked();
}

void ModelHost::CountEntriesLocked(const RegistrySnapshot& registry) {
  if (metrics_ == nullptr) return;
  const auto count = [&](EntryKind kind) {
    return static_cast<double>(
        std::count_if(registry.entries.begin(), registry.entries.end(),
                      [kind](const auto& item) { return item.second->kind == kind; }));
  };
  metrics_->registered_states.Set(count(EntryKind::kState));
  metrics_->registered_mixtures.Set(count(EntryKind::kMixture));
  metrics_->registered_adapters.Set(count(EntryKind::kAdapter));
}

void ModelHost::ReportFailure(const absl::Status& status) const {
  if (options_.on_failure) options_.on_failure(status);
}

// The status is that of a model without load or entries from here on. `metrics`: those that the
// model has already; there must not be two of one name.
void ModelHost::SetModelLocked(const std::string& name, const std::string& other,
                               std::shared_ptr<WorkerMetrics> metrics) {
  if (status_.model == name) metrics = metrics_;
  status_.model = name;
  status_.load = {};
  status_.registry = nullptr;
  other_model_ = other;
  number_ = 0;
  if (metrics == nullptr && options_.metrics != nullptr) {
    metrics = std::make_shared<WorkerMetrics>(*options_.metrics, name);
  }
  metrics_ = std::move(metrics);
}

absl::Status ModelHost::BecomeReady(const Served& served) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (status_.state != ModelState::kLoading) {
    return absl::FailedPreconditionError(absl::StrCat(
        "model ", status_.model, ": is ", ModelStateName(status_.state), ", cannot become ready"));
  }
  served_ = served;
  number_ = served->number;
  other_model_.clear();
  last_failure_.clear();
  status_.load = served->loop->Load();
  status_.registry = served->registry->snapshot();
  CountEntriesLocked(*status_.registry);
  TransitionToLocked(ModelState::kReady);
  return absl::OkStatus();
}

void ModelHost::Drain() {
  const std::lock_guard<std::mutex> lock(mu_);
  switch (status_.state) {
    case ModelState::kEmpty:
    case ModelState::kLoading:
      return TransitionToLocked(ModelState::kGone);
    case ModelState::kReady:
      return StartDrainLocked();
    case ModelState::kUnloading:
      return TransitionToLocked(ModelState::kDraining);  // the loader's thread sees it to its end
    case ModelState::kDraining:
    case ModelState::kGone:
      return;
  }
}

void ModelHost::StartDrainLocked() {
  TransitionToLocked(ModelState::kDraining);  // first: what comes until all have heard is served
  served_->loop->Drain();
  drainer_ = std::thread([this] { FinishDrain(); });
}

void ModelHost::FinishDrain() {
  Served served;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    served = served_;
  }
  while (!served->loop->WaitIdle(kIdlePoll)) {
    const std::lock_guard<std::mutex> lock(mu_);
    if (stopping_) return;
  }
  const std::lock_guard<std::mutex> lock(mu_);
  served_.reset();  // not the last owner: `served` goes after the lock
  TransitionToLocked(ModelState::kGone);
}

bool ModelHost::WaitGone(absl::Duration timeout) {
  std::unique_lock<std::mutex> lock(mu_);
  return changed_.wait_for(lock, absl::ToChronoNanoseconds(std::min(timeout, kLongestWait)),
                           [this] { return status_.state == ModelState::kGone; });
}

void ModelHost::TransitionToLocked(ModelState state) {
  SKEIN_CHECK(EdgeExists(status_.state, state));
  status_.state = state;
  if (state != ModelState::kLoading && state != ModelState::kUnloading) change_ = 0;
  NotifyLocked();
  changed_.notify_all();
}

void ModelHost::NotifyLocked() {
  for (const auto& [id, listener] : listeners_) listener(status_);
}

}  // namespace skein
