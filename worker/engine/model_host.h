// The model that a worker serves, and its life: kLoading -> kReady -> kDraining -> kGone.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/base/clock.h"
#include "common/text/model_text.h"
#include "kernels/device/device.h"
#include "kernels/linear/open_device.h"
#include "worker/engine/step_loop.h"
#include "worker/metrics.h"
#include "worker/models/model.h"
#include "worker/models/registry.h"
#include "worker/registry/registry.h"
#include "worker/weights/model_files.h"

namespace skein {

enum class ModelState { kLoading, kReady, kDraining, kGone };
absl::string_view ModelStateName(ModelState state);

// What requests for a model are checked against. Immutable.
struct ModelProfile {
  std::string name;
  ModelDescription description;
  ModelText text;
  std::optional<std::vector<std::string>> default_stop;  // unset: chats stop at their format's
  int64_t max_prompt_tokens = 0;
  int64_t max_tokens = 0;  // of a request's output: its limit and its default
  int64_t max_total_tokens = std::numeric_limits<int64_t>::max();  // prompt and output
  int max_sequences = 0;
  int64_t state_bytes_per_sequence = 0;
  int64_t kv_bytes_per_token = 0;
  std::string fingerprint;  // changes with weights, tokenizer and arithmetic
  absl::Time loaded;
};

// A model in use: whoever holds one keeps it alive. The step loop's thread must not be the last to
// let go.
struct ServedModel {
  ModelProfile profile;
  std::unique_ptr<Device> device;  // used by `loop`
  // What adapters are checked against and computed from; null if the model did not come from files.
  std::unique_ptr<ModelFiles> files;
  std::unique_ptr<Registry> registry;  // changed by a RegistryKeeper alone
  std::unique_ptr<StepLoop> loop;
};

// What a load gives.
struct LoadedModel {
  std::unique_ptr<Model> model;
  ModelText text;
  std::unique_ptr<Device> device;
  std::unique_ptr<ModelFiles> files = nullptr;  // null: the model takes no adapters
};

struct HostStatus {
  ModelState state = ModelState::kLoading;
  LoadSnapshot load;
  std::shared_ptr<const RegistrySnapshot> registry;  // null until there was a change
};

// Thread-safe. What Find returned and what Subscribe was given must be gone before the host is.
class ModelHost {
 public:
  struct Options {
    std::string name;
    std::string path;         // as ModelFiles::Open takes it
    std::string tokenizer;    // empty: looked for beside the model
    std::string chat_format;  // empty: recognised
    std::optional<float> rope_theta;
    std::optional<float> rms_norm_eps;
    std::optional<std::vector<std::string>> default_stop;
    EngineLimits limits;
    int64_t max_prompt_tokens = 32768;
    int64_t max_tokens = 4096;
    int num_threads = 0;  // of the CPU backend; 0: one per core
    bool use_cuda = false;
    GpuOptions gpu;
    int64_t device_memory = 0;        // bytes of the GPU that may be used; 0: all that are free
    DType state_dtype = DType::kF32;  // of the WKV states on CUDA: kF32 or kF16
    const Clock* clock = &Clock::Real();
    MetricsRegistry* metrics = nullptr;  // may be null
    int max_mix_states = 8;
    // Called with a loaded model before it is ready, such as to fill its registry; an error fails
    // the load. May be null.
    std::function<absl::Status(ServedModel&)> prepare;
    // What StartLoading serves in place of the files at `path`, if set. Runs on the loader thread.
    std::function<absl::StatusOr<LoadedModel>()> load;
    // Called once if the model cannot be loaded, or fails while it serves; by the thread that saw
    // it. Must not block and must not call the host.
    std::function<void(const absl::Status&)> on_failure;
  };
  using Listener = std::function<void(const HostStatus&)>;

  explicit ModelHost(Options options);
  // Ends running requests with Unavailable. Waits for a load that is under way, which cannot be
  // broken off.
  ~ModelHost();
  ModelHost(const ModelHost&) = delete;
  ModelHost& operator=(const ModelHost&) = delete;

  // Loads the model on a thread of its own, with a progress line on stderr. A failure ends in
  // kGone. Called once at most.
  void StartLoading();
  // Serves a model that is there already. FailedPrecondition unless the state is kLoading.
  absl::Status Adopt(LoadedModel loaded);

  // An empty name finds the one model. NotFound for another name; Unavailable while it loads and
  // after it is gone.
  absl::StatusOr<std::shared_ptr<ServedModel>> Find(absl::string_view name) const;
  const std::string& name() const { return options_.name; }
  // For the metrics: a request that ended before the step loop took it, rejected or at fault.
  void CountRefused(const absl::Status& status);
  void CountStateLoad(const absl::Status& status);
  void CountAdapterLoad(const absl::Status& status);
  // For the metrics: what requests hold of the registry right now.
  void ReportEntriesInUse();
  HostStatus status() const;
  // How long nothing has come of work that there is: the steps of a model that serves, the bytes of
  // one that loads.
  absl::Duration StalledFor() const;

  // `listener` hears the status at once and after each change of state or load, in order, from any
  // thread. It must not block and must not call the host.
  int64_t Subscribe(Listener listener);
  // After it returned, the listener is not called any more.
  void Unsubscribe(int64_t id);

  // Listeners hear of it, then new requests are refused; the state becomes kGone once nothing runs
  // any more. Never blocks.
  void Drain();
  // False if `timeout` passed first.
  bool WaitGone(absl::Duration timeout);

 private:
  absl::Status Load();
  absl::StatusOr<LoadedModel> LoadFiles();
  void NoteLoadProgress();
  absl::Status Admit(const ModelMemory& memory, const Device& device) const;
  absl::StatusOr<std::shared_ptr<ServedModel>> MakeServed(LoadedModel loaded);
  void OnLoadChange(const LoadSnapshot& load);
  void OnRegistryChange(const std::shared_ptr<const RegistrySnapshot>& registry);
  void StartDrainLocked();
  void FinishDrain();
  void ReportFailure(const absl::Status& status) const;
  void TransitionToLocked(ModelState state);
  void NotifyLocked();

  const Options options_;
  std::optional<WorkerMetrics> metrics_;

  mutable std::mutex mu_;
  std::condition_variable changed_;        // of status_.state or stopping_
  HostStatus status_;                      // guarded by mu_
  std::shared_ptr<ServedModel> served_;    // guarded by mu_; null unless ready or draining
  std::map<int64_t, Listener> listeners_;  // guarded by mu_
  int64_t next_listener_ = 0;              // guarded by mu_
  bool stopping_ = false;                  // guarded by mu_
  absl::Time last_load_progress_;          // guarded by mu_; by Steady
  std::thread loader_;
  std::thread drainer_;  // started under mu_
};

}  // namespace skein
