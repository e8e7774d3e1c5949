#include "worker/engine/model_loader.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <optional>
#include <utility>

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/host_memory.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "worker/engine/load_progress.h"

namespace skein {
namespace {

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

ModelLoadOptions LoadOptions(const ModelSource& source, const EngineLimits& limits) {
  ModelLoadOptions load;
  load.max_rows = limits.max_rows_per_step;
  load.state_dtype = source.state_dtype;
  load.weights.matrix_type = source.weight_type;
  load.rope_theta = source.rope_theta;
  load.rms_norm_eps = source.rms_norm_eps;
  return load;
}

// A load that ends where it would take memory: by then all names and shapes have been checked.
absl::StatusOr<ModelMemory> MemoryOf(const ModelFiles& files, ModelLoadOptions options,
                                     const Stream& stream) {
  std::optional<ModelMemory> memory;
  options.admit = [&memory](const ModelMemory& found) {
    memory = found;
    return absl::CancelledError("only the plan was wanted");
  };
  const absl::Status status = LoadModel(files, options, stream).status();
  if (memory.has_value()) return *memory;
  return status;
}

void LogMerged(const ModelSource& source, const Adapter& adapter) {
  LogInfo("adapter merged", {{"model", source.name},
                             {"adapter", source.merged_adapter->name},
                             {"methods", adapter.Methods()},
                             {"content", adapter.content_hash}});
  for (const std::string& warning : adapter.warnings) {
    LogWarning("merged adapter", {{"model", source.name}, {"warning", warning}});
  }
  if (adapter.state.empty()) return;
  LogWarning("merged adapter", {{"model", source.name},
                                {"warning",
                                 "its tuned state is not part of the weights: register "
                                 "the file as a state"}});
}

}  // namespace

absl::StatusOr<OpenedModel> ModelLoader::Open(const ModelSource& source,
                                              std::shared_ptr<Device> device) const {
  OpenedModel opened;
  opened.source = source;
  opened.device = std::move(device);
  if (source.load) return opened;
  ASSIGN_OR_RETURN(opened.files, ModelFiles::Open(source.path));
  ASSIGN_OR_RETURN(opened.text, LoadModelText(source.path, source.tokenizer, source.chat_format));
  if (source.merged_adapter.has_value()) {
    ASSIGN_OR_RETURN(opened.merge, AdapterMerge::Open(*source.merged_adapter, *opened.files,
                                                      options_.num_threads));
  }
  if (opened.device == nullptr) {
    if (options_.use_cuda) {
      ASSIGN_OR_RETURN(opened.device, OpenGpu(options_.gpu));
    } else {
      opened.device = Device::Cpu(options_.num_threads);
    }
  }
  ASSIGN_OR_RETURN(opened.memory, MemoryOf(*opened.files, LoadOptions(source, options_.limits),
                                           opened.device->stream()));
  return opened;
}

// Nothing is asked of the host's memory, which can be had though it is in use.
int64_t ModelLoader::AvailableBytes(const Device& device) const {
  return static_cast<int64_t>(
      std::min<size_t>(device.free_bytes(), std::numeric_limits<int64_t>::max()));
}

int64_t ModelLoader::WithinLimit(int64_t available, int64_t used) const {
  if (options_.device_memory == 0) return available;
  return std::min(available, options_.device_memory - used);
}

// Two models in the host's memory are a luxury that must not cost others theirs.
absl::Status ModelLoader::CheckFitsBeside(const OpenedModel& opened,
                                          const ServedModel& other) const {
  if (opened.files == nullptr) return absl::OkStatus();
  const int64_t available =
      options_.use_cuda ? AvailableBytes(*opened.device) : AvailableHostBytes() / 10 * 9;
  return PlanMemory(opened.memory, options_.limits, WithinLimit(available, other.planned_bytes))
      .status();
}

absl::Status ModelLoader::CheckFitsInPlaceOf(const OpenedModel& opened,
                                             const ServedModel& other) const {
  if (opened.files == nullptr) return absl::OkStatus();
  int64_t available = AvailableBytes(*opened.device);
  if (options_.use_cuda) available += other.planned_bytes;
  return PlanMemory(opened.memory, options_.limits, WithinLimit(available, 0)).status();
}

absl::StatusOr<LoadedModel> ModelLoader::Load(OpenedModel opened, const Progress& progress) const {
  if (opened.source.load) return opened.source.load();
  const ModelSource& source = opened.source;
  LoadedModel loaded;
  loaded.text = std::move(opened.text);
  loaded.device = std::move(opened.device);
  LoadProgress line(source.name, stderr, isatty(STDERR_FILENO) != 0, *options_.clock);
  ModelLoadOptions load = LoadOptions(source, options_.limits);
  load.admit = [&](const ModelMemory& memory) -> absl::Status {
    ASSIGN_OR_RETURN(
        const MemoryPlan plan,
        PlanMemory(memory, options_.limits, WithinLimit(AvailableBytes(*loaded.device), 0)));
    loaded.planned_bytes = plan.total();
    if (!options_.use_cuda) return absl::OkStatus();
    LogInfo("memory plan", {{"model", source.name},
                            {"device", loaded.device->name()},
                            {"needs", plan.ToString()},
                            {"max_sequences_that_fit", absl::StrCat(plan.max_sequences)}});
    return absl::OkStatus();
  };
  load.progress = [&](int64_t done, int64_t total) {
    line.Update(done, total);
    if (progress) progress(done, total);
  };
  if (opened.merge != nullptr) {
    load.weights.edit = [&](const std::string& name) { return opened.merge->Merged(name); };
  }
  absl::StatusOr<std::unique_ptr<Model>> model =
      LoadModel(*opened.files, load, loaded.device->stream());
  line.Finish();
  RETURN_IF_ERROR(model.status());
  if (opened.merge != nullptr) {
    RETURN_IF_ERROR(opened.merge->CheckUsed());
    LogMerged(source, opened.merge->adapter());
  }
  loaded.model = *std::move(model);
  loaded.files = std::move(opened.files);
  return loaded;
}

// What decides about the last bits besides weights and tokens. Kernels and the cut of their sums
// follow the GPU.
std::string ModelLoader::Arithmetic(const ModelSource& source, const Device& device) const {
  if (!options_.use_cuda) return std::string(kCpuArithmetic);
  return absl::StrCat(kCudaArithmetic, " ", device.name(), " ", DTypeName(source.state_dtype),
                      options_.gpu.cuda.batch_invariant ? " batch-invariant" : "");
}

absl::StatusOr<std::shared_ptr<ServedModel>> ModelLoader::Serve(const ModelSource& source,
                                                                LoadedModel loaded,
                                                                Listeners listeners) const {
  auto served = std::make_shared<ServedModel>();
  ModelText text = std::move(loaded.text);
  served->source = source;
  served->device = std::move(loaded.device);
  served->files = std::move(loaded.files);
  served->planned_bytes = loaded.planned_bytes;
  served->metrics = listeners.metrics;
  served->registry = std::make_unique<Registry>(Registry::Options{
      .max_mix_states = options_.max_mix_states,
      // So that it does not begin anew with each process.
      .first_revision = static_cast<uint64_t>(absl::ToUnixMillis(options_.clock->Now())),
      .on_change = std::move(listeners.on_registry_change)});
  StepLoop::Options loop;
  loop.limits = options_.limits;
  loop.clock = options_.clock;
  loop.metrics = listeners.metrics.get();
  loop.on_progress = std::move(listeners.on_progress);
  loop.on_load_change = std::move(listeners.on_load_change);
  ASSIGN_OR_RETURN(served->loop, StepLoop::Create(std::move(loaded.model), text.tokenizer,
                                                  served->device->stream(), std::move(loop)));
  ModelProfile& profile = served->profile;
  profile.name = source.name;
  profile.description = served->loop->model();
  profile.fingerprint = Fingerprint(profile.description, text, Arithmetic(source, *served->device));
  profile.text = std::move(text);
  profile.default_stop = source.default_stop;
  profile.defaults = source.defaults;
  if (source.merged_adapter.has_value()) profile.merged_adapter = source.merged_adapter->name;
  profile.max_total_tokens = served->loop->max_tokens_per_sequence();
  profile.max_prompt_tokens = options_.max_prompt_tokens;
  profile.max_tokens = options_.max_tokens;
  profile.max_sequences = options_.limits.max_sequences;
  profile.state_bytes_per_sequence = served->loop->state_bytes_per_sequence();
  profile.kv_bytes_per_token = served->loop->kv_bytes_per_token();
  profile.state_dtype = options_.use_cuda ? source.state_dtype : DType::kF32;
  profile.loaded = options_.clock->Now();
  return served;
}

}  // namespace skein
