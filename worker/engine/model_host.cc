#include "worker/engine/model_host.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <utility>

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "worker/engine/load_progress.h"
#include "worker/engine/memory_plan.h"
#include "worker/engine/refusal_reason.h"
#include "worker/models/registry.h"
#include "worker/weights/model_files.h"

namespace skein {
namespace {

constexpr absl::Duration kIdlePoll = absl::Milliseconds(50);
constexpr absl::Duration kLongestWait =
    absl::Hours(24 * 365);  // wait_for adds it to now, which must not overflow
// Part of every fingerprint: to be raised when the same weights and tokens give other numbers than
// before.
constexpr absl::string_view kCpuArithmetic = "cpu-1";
constexpr absl::string_view kCudaArithmetic = "cuda-1";

constexpr uint64_t kFnvPrime = 0x100000001b3;
constexpr uint64_t kFnvOffset = 0xcbf29ce484222325;

// 64-bit FNV-1a; the length goes in too, so that neighbouring parts cannot flow into each other.
uint64_t HashBytes(uint64_t hash, absl::string_view bytes) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * kFnvPrime;
  return (hash ^ bytes.size()) * kFnvPrime;
}

absl::StatusOr<std::unique_ptr<Device>> OpenDevice(const ModelHost::Options& options) {
  if (options.use_cuda) return OpenGpu(options.gpu);
  return Device::Cpu(options.num_threads);
}

// What decides about the last bits besides weights and tokens. Kernels and the cut of their sums
// follow the GPU.
std::string Arithmetic(const ModelHost::Options& options, const Device& device) {
  if (!options.use_cuda) return std::string(kCpuArithmetic);
  return absl::StrCat(kCudaArithmetic, " ", device.name(), " ", DTypeName(options.state_dtype),
                      options.gpu.cuda.batch_invariant ? " batch-invariant" : "");
}

std::string Fingerprint(const ModelDescription& model, const ModelText& text,
                        absl::string_view arithmetic) {
  uint64_t hash = HashBytes(kFnvOffset, arithmetic);
  if (text.tokenizer != nullptr) {
    for (int64_t id = 0; id < text.tokenizer->vocab_size(); ++id) {
      hash = HashBytes(hash, text.tokenizer->TokenBytes(static_cast<int32_t>(id)));
    }
  }
  return absl::StrFormat("%016x-%016x", model.fingerprint, hash);
}

bool EdgeExists(ModelState from, ModelState to) {
  switch (from) {
    case ModelState::kLoading:
      return to == ModelState::kReady || to == ModelState::kGone;
    case ModelState::kReady:
      return to == ModelState::kDraining;
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
    case ModelState::kLoading:
      return "loading";
    case ModelState::kReady:
      return "ready";
    case ModelState::kDraining:
      return "draining";
    case ModelState::kGone:
      return "gone";
  }
  return "unknown";
}

ModelHost::ModelHost(Options options)
    : options_(std::move(options)), last_load_progress_(options_.clock->Steady()) {
  if (options_.metrics != nullptr) metrics_.emplace(*options_.metrics, options_.name);
}

ModelHost::~ModelHost() {
  std::shared_ptr<ServedModel> served;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (loader_.joinable()) loader_.join();
  if (drainer_.joinable()) drainer_.join();
  {
    const std::lock_guard<std::mutex> lock(mu_);
    served = std::move(served_);
  }
  // Outside the lock: the step loop reports its last load while it ends.
  served.reset();
}

void ModelHost::StartLoading() {
  SKEIN_CHECK(!loader_.joinable());
  NoteLoadProgress();
  loader_ = std::thread([this] {
    const absl::Status status = Load();
    if (status.ok()) return;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      if (status_.state == ModelState::kGone) return;  // drained while it loaded
      TransitionToLocked(ModelState::kGone);
    }
    ReportFailure(status);
  });
}

absl::Status ModelHost::Load() {
  const absl::Time start = options_.clock->Now();
  ASSIGN_OR_RETURN(LoadedModel loaded, options_.load ? options_.load() : LoadFiles());
  const ModelDescription description = loaded.model->description();
  const std::string device_name = loaded.device->name();
  RETURN_IF_ERROR(Adopt(std::move(loaded)));
  LogInfo(
      "model ready",
      {{"model", options_.name},
       {"device", device_name},
       {"architecture", description.architecture},
       {"weights", description.weight_format},
       {"parameters", absl::StrCat(description.num_parameters)},
       {"mb", absl::StrCat(description.weight_bytes / 1000000)},
       {"seconds", absl::StrFormat("%.1f", absl::ToDoubleSeconds(options_.clock->Now() - start))}});
  return absl::OkStatus();
}

absl::StatusOr<LoadedModel> ModelHost::LoadFiles() {
  LoadedModel loaded;
  ASSIGN_OR_RETURN(std::unique_ptr<ModelFiles> files, ModelFiles::Open(options_.path));
  ASSIGN_OR_RETURN(loaded.text,
                   LoadModelText(options_.path, options_.tokenizer, options_.chat_format));
  ASSIGN_OR_RETURN(loaded.device, OpenDevice(options_));
  LoadProgress progress(options_.name, stderr, isatty(STDERR_FILENO) != 0, *options_.clock);
  ModelLoadOptions load;
  load.max_rows = options_.limits.max_rows_per_step;
  load.state_dtype = options_.state_dtype;
  load.rope_theta = options_.rope_theta;
  load.rms_norm_eps = options_.rms_norm_eps;
  load.admit = [&](const ModelMemory& memory) { return Admit(memory, *loaded.device); };
  load.progress = [&](int64_t done, int64_t total) {
    progress.Update(done, total);
    NoteLoadProgress();
  };
  absl::StatusOr<std::unique_ptr<Model>> model = LoadModel(*files, load, loaded.device->stream());
  progress.Finish();
  RETURN_IF_ERROR(model.status());
  loaded.model = *std::move(model);
  loaded.files = std::move(files);
  return loaded;
}

void ModelHost::NoteLoadProgress() {
  const std::lock_guard<std::mutex> lock(mu_);
  last_load_progress_ = options_.clock->Steady();
}

absl::Status ModelHost::Admit(const ModelMemory& memory, const Device& device) const {
  int64_t available = static_cast<int64_t>(
      std::min<size_t>(device.free_bytes(), std::numeric_limits<int64_t>::max()));
  if (options_.device_memory > 0) available = std::min(available, options_.device_memory);
  ASSIGN_OR_RETURN(const MemoryPlan plan, PlanMemory(memory, options_.limits, available));
  if (!options_.use_cuda) return absl::OkStatus();
  LogInfo("memory plan", {{"model", options_.name},
                          {"device", device.name()},
                          {"needs", plan.ToString()},
                          {"max_sequences_that_fit", absl::StrCat(plan.max_sequences)}});
  return absl::OkStatus();
}

absl::Status ModelHost::Adopt(LoadedModel loaded) {
  ASSIGN_OR_RETURN(std::shared_ptr<ServedModel> served, MakeServed(std::move(loaded)));
  if (options_.prepare) RETURN_IF_ERROR(options_.prepare(*served));
  const LoadSnapshot load = served->loop->Load();
  const std::lock_guard<std::mutex> lock(mu_);
  if (status_.state != ModelState::kLoading) {
    return absl::FailedPreconditionError(absl::StrCat(
        "model ", options_.name, ": is ", ModelStateName(status_.state), ", cannot become ready"));
  }
  served_ = std::move(served);
  status_.load = load;
  TransitionToLocked(ModelState::kReady);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<ServedModel>> ModelHost::MakeServed(LoadedModel loaded) {
  auto served = std::make_shared<ServedModel>();
  ModelText text = std::move(loaded.text);
  served->device = std::move(loaded.device);
  served->files = std::move(loaded.files);
  served->registry = std::make_unique<Registry>(Registry::Options{
      .max_mix_states = options_.max_mix_states,
      // So that it does not begin anew with each process.
      .first_revision = static_cast<uint64_t>(absl::ToUnixMillis(options_.clock->Now())),
      .on_change = [this](const auto& registry) { OnRegistryChange(registry); }});
  StepLoop::Options loop;
  loop.limits = options_.limits;
  loop.clock = options_.clock;
  loop.metrics = metrics_ ? &*metrics_ : nullptr;
  loop.on_progress = [this] { NoteLoadProgress(); };
  loop.on_load_change = [this](const LoadSnapshot& load) { OnLoadChange(load); };
  ASSIGN_OR_RETURN(served->loop, StepLoop::Create(std::move(loaded.model), text.tokenizer,
                                                  served->device->stream(), std::move(loop)));
  ModelProfile& profile = served->profile;
  profile.name = options_.name;
  profile.description = served->loop->model();
  profile.fingerprint =
      Fingerprint(profile.description, text, Arithmetic(options_, *served->device));
  profile.text = std::move(text);
  profile.default_stop = options_.default_stop;
  profile.max_total_tokens = served->loop->max_tokens_per_sequence();
  profile.max_prompt_tokens = options_.max_prompt_tokens;
  profile.max_tokens = options_.max_tokens;
  profile.max_sequences = options_.limits.max_sequences;
  profile.state_bytes_per_sequence = served->loop->state_bytes_per_sequence();
  profile.kv_bytes_per_token = served->loop->kv_bytes_per_token();
  profile.loaded = options_.clock->Now();
  return served;
}

absl::StatusOr<std::shared_ptr<ServedModel>> ModelHost::Find(absl::string_view name) const {
  if (!name.empty() && name != options_.name) {
    return absl::NotFoundError(
        absl::StrCat("model \"", name, "\": not served here, expected ", options_.name));
  }
  const std::lock_guard<std::mutex> lock(mu_);
  if (served_ != nullptr) return served_;
  return WithReason(absl::UnavailableError(absl::StrCat("model ", options_.name, ": is ",
                                                        ModelStateName(status_.state))),
                    status_.state == ModelState::kLoading ? "loading" : "draining");
}

void ModelHost::CountRefused(const absl::Status& status) {
  if (!metrics_) return;
  metrics_->CountRequest(status);
  if (const std::string reason = ReasonOf(status); !reason.empty()) {
    metrics_->CountRejected(reason);
  }
}

void ModelHost::CountStateLoad(const absl::Status& status) {
  if (metrics_) metrics_->CountStateLoad(status);
}

void ModelHost::CountAdapterLoad(const absl::Status& status) {
  if (metrics_) metrics_->CountAdapterLoad(status);
}

void ModelHost::ReportEntriesInUse() {
  std::shared_ptr<ServedModel> served;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    served = served_;
  }
  if (served == nullptr || !metrics_) return;
  metrics_->states_in_use.Set(served->registry->NumStatesInUse());
  metrics_->adapters_in_use.Set(served->registry->NumAdaptersInUse());
}

absl::Duration ModelHost::StalledFor() const {
  std::shared_ptr<ServedModel> served;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (status_.state == ModelState::kLoading) {
      return options_.clock->Steady() - last_load_progress_;
    }
    served = served_;
  }
  return served == nullptr ? absl::ZeroDuration() : served->loop->StalledFor();
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

void ModelHost::OnLoadChange(const LoadSnapshot& load) {
  bool just_failed = false;
  {
    const std::lock_guard<std::mutex> lock(mu_);
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

void ModelHost::OnRegistryChange(const std::shared_ptr<const RegistrySnapshot>& registry) {
  if (metrics_) {
    const auto count = [&](EntryKind kind) {
      return static_cast<double>(
          std::count_if(registry->entries.begin(), registry->entries.end(),
                        [kind](const auto& item) { return item.second->kind == kind; }));
    };
    metrics_->registered_states.Set(count(EntryKind::kState));
    metrics_->registered_mixtures.Set(count(EntryKind::kMixture));
    metrics_->registered_adapters.Set(count(EntryKind::kAdapter));
  }
  const std::lock_guard<std::mutex> lock(mu_);
  status_.registry = registry;
  NotifyLocked();
}

void ModelHost::ReportFailure(const absl::Status& status) const {
  if (options_.on_failure) options_.on_failure(status);
}

void ModelHost::Drain() {
  const std::lock_guard<std::mutex> lock(mu_);
  if (status_.state == ModelState::kLoading) TransitionToLocked(ModelState::kGone);
  if (status_.state == ModelState::kReady) StartDrainLocked();
}

void ModelHost::StartDrainLocked() {
  TransitionToLocked(ModelState::kDraining);  // first: what comes until all have heard is served
  served_->loop->Drain();
  drainer_ = std::thread([this] { FinishDrain(); });
}

void ModelHost::FinishDrain() {
  std::shared_ptr<ServedModel> served;
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
  NotifyLocked();
  changed_.notify_all();
}

void ModelHost::NotifyLocked() {
  for (const auto& [id, listener] : listeners_) listener(status_);
}

}  // namespace skein
