// What the loader's thread of a ModelHost does: the first load, replacements and unloading.
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "worker/engine/model_host.h"
#include "worker/engine/refusal_reason.h"

namespace skein {
namespace {

constexpr absl::Duration kIdlePoll = absl::Milliseconds(50);

absl::Status WorkerIsDraining() {
  return WithReason(absl::UnavailableError("the worker is draining"), "draining");
}

absl::Status WithMore(const absl::Status& status, absl::string_view more) {
  return absl::Status(status.code(), absl::StrCat(std::string(status.message()), "; ", more));
}

}  // namespace

void ModelHost::StartLoading() {
  NoteLoadProgress();
  const std::lock_guard<std::mutex> lock(mu_);
  SKEIN_CHECK(BeginChangeLocked().ok());
  RunOnLoader([this] { LoadFirst(); });
}

absl::Status ModelHost::Adopt(LoadedModel loaded) {
  ASSIGN_OR_RETURN(const Served served, Serve(options_.model, std::move(loaded)));
  return BecomeReady(served);
}

absl::Status ModelHost::Replace(ModelSource source, absl::Duration grace, ChangeListener listener) {
  const std::lock_guard<std::mutex> lock(mu_);
  ASSIGN_OR_RETURN(const uint64_t change, BeginChangeLocked());
  RunOnLoader([this, change, source = std::move(source), grace, listener = std::move(listener)] {
    const absl::StatusOr<Served> served = ReplaceWith(source, grace, listener.on_progress);
    if (!served.ok()) {
      LogError("model not loaded",
               {{"model", source.name}, {"error", std::string(served.status().message())}});
    }
    EndChange(change);
    if (listener.on_end) listener.on_end(served);
  });
  return absl::OkStatus();
}

absl::Status ModelHost::Unload(absl::string_view name, absl::Duration grace,
                               ChangeListener listener) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (served_ == nullptr || (!name.empty() && name != status_.model)) return WhyNobodyLocked(name);
  ASSIGN_OR_RETURN(const uint64_t change, BeginChangeLocked());
  RunOnLoader([this, change, old = served_, grace, listener = std::move(listener)]() mutable {
    const absl::Status status = UnloadOld(std::exchange(old, nullptr), grace);
    EndChange(change);
    if (!listener.on_end) return;
    status.ok() ? listener.on_end(Served()) : listener.on_end(status);
  });
  return absl::OkStatus();
}

absl::Status ModelHost::UnloadOld(const Served& old, absl::Duration grace) {
  RETURN_IF_ERROR(Retire(old, "", grace));
  old->Close();
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (status_.state != ModelState::kUnloading) return LeaveLocked();
    SetModelLocked("", "");
    TransitionToLocked(ModelState::kEmpty);
  }
  LogInfo("model unloaded", {{"model", old->profile.name}});
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> ModelHost::BeginChangeLocked() {
  if (status_.state == ModelState::kDraining || status_.state == ModelState::kGone) {
    return WorkerIsDraining();
  }
  if (change_ != 0) {
    return absl::AbortedError(absl::StrCat("model ", status_.model,
                                           ": is being loaded or unloaded, try again after that"));
  }
  return change_ = ++last_change_;
}

// A change that comes to a state of rest ends there: whoever sees that state may begin another.
void ModelHost::EndChange(uint64_t change) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (change_ == change) change_ = 0;
}

// The thread before has come to a state of rest, but may still tidy up and tell its listener.
void ModelHost::RunOnLoader(std::function<void()> job) {
  loader_thread_ =
      std::thread([job = std::move(job), before = std::move(loader_thread_)]() mutable {
        if (before.joinable()) before.join();
        job();
      });
}

void ModelHost::LoadFirst() {
  absl::StatusOr<OpenedModel> opened = loader_.Open(options_.model, nullptr);
  const absl::Status status =
      opened.ok() ? LoadOpened(*std::move(opened), nullptr).status() : opened.status();
  if (status.ok()) return;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (status_.state == ModelState::kGone) return;  // drained while it loaded
    TransitionToLocked(ModelState::kGone);
  }
  ReportFailure(status);
}

absl::StatusOr<ModelHost::Served> ModelHost::ReplaceWith(const ModelSource& source,
                                                         absl::Duration grace,
                                                         const ModelLoader::Progress& progress) {
  Served old;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    old = served_;
  }
  ASSIGN_OR_RETURN(OpenedModel opened,
                   loader_.Open(source, old == nullptr ? nullptr : old->device));
  if (old != nullptr) RETURN_IF_ERROR(loader_.CheckFitsInPlaceOf(opened, *old));
  if (progress) progress(0, opened.memory.weight_bytes);
  if (old != nullptr) {
    RETURN_IF_ERROR(Retire(old, source.name, grace));
    return LoadInPlaceOf(old, std::move(opened), progress);
  }
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (status_.state != ModelState::kEmpty) return WorkerIsDraining();
    SetModelLocked(source.name, "");
    TransitionToLocked(ModelState::kLoading);
  }
  absl::StatusOr<Served> served = LoadOpened(std::move(opened), progress);
  if (!served.ok()) return Fail(served.status());
  return served;
}

// Takes no new requests for `old`, and returns once it computes nothing and nobody changes its
// registry any more.
absl::Status ModelHost::Retire(const Served& old, const std::string& successor,
                               absl::Duration grace) {
  absl::Status refusal;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (status_.state != ModelState::kReady) return WorkerIsDraining();
    other_model_ = successor;
    outgoing_ = std::move(served_);
    TransitionToLocked(ModelState::kUnloading);
    refusal = WhyNobodyLocked(status_.model);
    old->loop->Drain(refusal);
  }
  LogInfo(
      "model leaves",
      {{"model", old->profile.name}, {"for", successor}, {"grace", absl::FormatDuration(grace)}});
  RETURN_IF_ERROR(WaitUntilIdle(*old->loop, refusal, grace));
  old->Park();
  const std::lock_guard<std::mutex> lock(mu_);
  outgoing_.reset();  // `old` stays
  number_ = 0;
  return status_.state == ModelState::kUnloading ? absl::OkStatus() : LeaveLocked();
}

// The worker drains, and nothing runs any more.
absl::Status ModelHost::LeaveLocked() {
  TransitionToLocked(ModelState::kGone);
  return WorkerIsDraining();
}

// After `grace` the running requests are ended with `refusal`, unless the worker itself drains
// meanwhile, which has a time limit of its own.
absl::Status ModelHost::WaitUntilIdle(StepLoop& loop, const absl::Status& refusal,
                                      absl::Duration grace) const {
  const absl::Time deadline = absl::Now() + grace;
  bool ended = false;
  while (!loop.WaitIdle(std::clamp(deadline - absl::Now(), absl::Milliseconds(1), kIdlePoll))) {
    {
      const std::lock_guard<std::mutex> lock(mu_);
      if (stopping_) return WorkerIsDraining();
      if (status_.state == ModelState::kDraining) continue;
    }
    if (ended || absl::Now() < deadline) continue;
    ended = true;
    const LoadSnapshot load = loop.Load();
    LogWarning("running requests are ended",
               {{"running", absl::StrCat(load.running)}, {"waiting", absl::StrCat(load.waiting)}});
    loop.EndAll(
        WithReason(WithMore(refusal, "the time for running requests is over"), ReasonOf(refusal)));
  }
  return absl::OkStatus();
}

absl::StatusOr<ModelHost::Served> ModelHost::LoadInPlaceOf(const Served& old, OpenedModel opened,
                                                           const ModelLoader::Progress& progress) {
  const ModelSource source = opened.source;
  const std::shared_ptr<Device> device = old->device;
  bool closed = !loader_.CheckFitsBeside(opened, *old).ok();
  if (closed) old->Close();
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (status_.state != ModelState::kUnloading) return LeaveLocked();
    SetModelLocked(source.name, old->profile.name);
    last_load_progress_ = options_.loader.clock->Steady();
    TransitionToLocked(ModelState::kLoading);
  }
  absl::StatusOr<Served> served = LoadOpened(std::move(opened), progress);
  if (absl::IsResourceExhausted(served.status()) && !closed) {  // the plan does not know everything
    closed = true;
    old->Close();
    served = OpenAndLoad(source, device, progress);
  }
  if (!served.ok()) return ReturnTo(old, closed ? device : nullptr, served.status());
  old->Close();
  return served;
}

absl::StatusOr<ModelHost::Served> ModelHost::OpenAndLoad(const ModelSource& source,
                                                         std::shared_ptr<Device> device,
                                                         const ModelLoader::Progress& progress) {
  ASSIGN_OR_RETURN(OpenedModel opened, loader_.Open(source, std::move(device)));
  return LoadOpened(std::move(opened), progress);
}

absl::StatusOr<ModelHost::Served> ModelHost::LoadOpened(OpenedModel opened,
                                                        const ModelLoader::Progress& progress) {
  const absl::Time start = options_.loader.clock->Now();
  const ModelSource source = opened.source;
  NoteLoadProgress();
  ASSIGN_OR_RETURN(LoadedModel loaded,
                   loader_.Load(std::move(opened), [&](int64_t done, int64_t total) {
                     NoteLoadProgress();
                     if (progress) progress(done, total);
                   }));
  ASSIGN_OR_RETURN(Served served, Serve(source, std::move(loaded)));
  RETURN_IF_ERROR(BecomeReady(served));
  LogReady(*served, start);
  return served;
}

absl::StatusOr<ModelHost::Served> ModelHost::Serve(const ModelSource& source, LoadedModel loaded) {
  uint64_t number = 0;
  ModelLoader::Listeners listeners;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    number = ++last_number_;
    listeners.metrics = metrics_;
  }
  listeners.on_progress = [this] { NoteLoadProgress(); };
  listeners.on_load_change = [this, number](const LoadSnapshot& load) {
    OnLoadChange(number, load);
  };
  listeners.on_registry_change = [this, number](const auto& registry) {
    OnRegistryChange(number, registry);
  };
  ASSIGN_OR_RETURN(Served served, loader_.Serve(source, std::move(loaded), std::move(listeners)));
  served->number = number;
  if (options_.prepare) RETURN_IF_ERROR(options_.prepare(*served));
  return served;
}

void ModelHost::LogReady(const ServedModel& model, absl::Time start) const {
  const ModelDescription& description = model.profile.description;
  const absl::Duration time = options_.loader.clock->Now() - start;
  LogInfo("model ready", {{"model", model.profile.name},
                          {"device", model.device->name()},
                          {"architecture", description.architecture},
                          {"weights", description.weight_format},
                          {"parameters", absl::StrCat(description.num_parameters)},
                          {"mb", absl::StrCat(description.weight_bytes / 1000000)},
                          {"seconds", absl::StrFormat("%.1f", absl::ToDoubleSeconds(time))}});
}

// Serves `old` again after a load that failed with `why`. `device` is where it is to be loaded
// anew; null if it is still there. Returns what the caller is to hear.
absl::Status ModelHost::ReturnTo(const Served& old, const std::shared_ptr<Device>& device,
                                 const absl::Status& why) {
  // What a failed device or a bug has left behind cannot be trusted.
  if (options_.loader.use_cuda && absl::IsInternal(why)) return Fail(why);
  const std::string& name = old->profile.name;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (status_.state != ModelState::kLoading) return why;
    SetModelLocked(name, "", old->metrics);
    NotifyLocked();
  }
  absl::Status status;
  if (device == nullptr) {
    old->Resume();
    status = BecomeReady(old);
  } else {
    LogWarning("going back to the model before", {{"model", name}});
    status = OpenAndLoad(old->source, device, nullptr).status();
  }
  if (status.ok()) return WithMore(why, absl::StrCat("model ", name, " serves again"));
  return Fail(WithMore(why, absl::StrCat("model ", name, " cannot be loaded again either: ",
                                         std::string(status.message()))));
}

// Without any model, after a load that failed with `why`.
absl::Status ModelHost::Fail(const absl::Status& why) {
  const bool fatal = options_.loader.use_cuda && absl::IsInternal(why);
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (status_.state != ModelState::kLoading) return why;
    last_failure_ = absl::StrCat("the last load failed: ", std::string(why.message()));
    if (!fatal) SetModelLocked("", "");
    TransitionToLocked(fatal ? ModelState::kGone : ModelState::kEmpty);
  }
  if (fatal) ReportFailure(why);
  return why;
}

}  // namespace skein
