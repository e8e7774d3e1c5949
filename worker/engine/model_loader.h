// From a ModelSource to a model that can be served: files, memory plan, weights, step loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "common/base/clock.h"
#include "common/text/model_text.h"
#include "kernels/device/device.h"
#include "kernels/linear/open_device.h"
#include "worker/engine/adapter_merge.h"
#include "worker/engine/memory_plan.h"
#include "worker/engine/model_source.h"
#include "worker/engine/served_model.h"
#include "worker/models/registry.h"
#include "worker/weights/model_files.h"

namespace skein {

// A source whose files have been read as far as they can be without the memory that they will take.
struct OpenedModel {
  ModelSource source;
  std::unique_ptr<ModelFiles> files;    // null where the source gives the model itself
  std::shared_ptr<AdapterMerge> merge;  // null: the weights stay as they are
  ModelText text;
  std::shared_ptr<Device> device;
  ModelMemory memory;
};

// Thread-safe, but for what is used on one device.
class ModelLoader {
 public:
  struct Options {
    EngineLimits limits;
    int64_t max_prompt_tokens = 32768;
    int64_t max_tokens = 4096;
    int num_threads = 0;  // of the CPU backend; 0: one per core
    bool use_cuda = false;
    GpuOptions gpu;
    int64_t device_memory = 0;  // bytes of the device that may be used; 0: all that are free
    const Clock* clock = &Clock::Real();
    int max_mix_states = 8;
  };
  // What the served model tells, from any thread.
  struct Listeners {
    std::shared_ptr<WorkerMetrics> metrics;  // may be null
    std::function<void()> on_progress;       // of making the step loop ready
    std::function<void(const LoadSnapshot&)> on_load_change;
    std::function<void(const std::shared_ptr<const RegistrySnapshot>&)> on_registry_change;
  };
  using Progress = std::function<void(int64_t bytes_done, int64_t bytes_total)>;

  explicit ModelLoader(Options options) : options_(std::move(options)) {}

  // Everything about the source that can be wrong, but for values of weights and the room for them.
  // `device`: where the model will compute; null: it is opened.
  absl::StatusOr<OpenedModel> Open(const ModelSource& source, std::shared_ptr<Device> device) const;
  // OK if there is room for the model beside `other`, and beside all else that is in memory now; or
  // once `other` is gone. ResourceExhausted, with the plan.
  absl::Status CheckFitsBeside(const OpenedModel& opened, const ServedModel& other) const;
  absl::Status CheckFitsInPlaceOf(const OpenedModel& opened, const ServedModel& other) const;
  // Reads the weights, with a progress line on stderr. `progress` may be null.
  absl::StatusOr<LoadedModel> Load(OpenedModel opened, const Progress& progress) const;
  // Ready to be served but for its registry's entries.
  absl::StatusOr<std::shared_ptr<ServedModel>> Serve(const ModelSource& source, LoadedModel loaded,
                                                     Listeners listeners) const;

  const Options& options() const { return options_; }

 private:
  int64_t AvailableBytes(const Device& device) const;
  int64_t WithinLimit(int64_t available, int64_t used) const;
  std::string Arithmetic(const ModelSource& source, const Device& device) const;

  const Options options_;
};

}  // namespace skein
