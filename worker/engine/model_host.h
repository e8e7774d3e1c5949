// The place of a worker for one model, and the life of what is in it:
//
//   kEmpty -> kLoading -> kReady -> kUnloading -> kEmpty, or kLoading again
//
// and from everywhere to kGone, through kDraining where something serves.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "worker/engine/model_loader.h"
#include "worker/engine/model_source.h"
#include "worker/engine/served_model.h"
#include "worker/metrics.h"

namespace skein {

enum class ModelState { kEmpty, kLoading, kReady, kUnloading, kDraining, kGone };
absl::string_view ModelStateName(ModelState state);

struct HostStatus {
  ModelState state = ModelState::kEmpty;
  std::string model;  // the one that loads, serves or goes; empty without one
  LoadSnapshot load;
  std::shared_ptr<const RegistrySnapshot> registry;  // null unless ready, unloading or draining
};

// Thread-safe. What Find returned and what Subscribe was given must be gone before the host is.
class ModelHost {
 public:
  struct Options {
    ModelSource model;  // the first; without a name there is none at first
    ModelLoader::Options loader;
    MetricsRegistry* metrics = nullptr;  // may be null
    // Called with a loaded model before it is ready, such as to fill its registry; an error fails
    // the load. May be null.
    std::function<absl::Status(ServedModel&)> prepare;
    // Called once if the first model cannot be loaded, if a model fails while it serves, or if the
    // device fails; by the thread that saw it. Must not block and must not call the host.
    std::function<void(const absl::Status&)> on_failure;
  };
  using Listener = std::function<void(const HostStatus&)>;
  // What becomes of a change of models, heard on the host's own thread. Must not block and must not
  // call the host.
  struct ChangeListener {
    std::function<void(int64_t bytes_done, int64_t bytes_total)> on_progress;
    // Last. The model that was asked for, once it is ready; null after an Unload.
    std::function<void(const absl::StatusOr<std::shared_ptr<ServedModel>>&)> on_end;
  };

  explicit ModelHost(Options options);
  // Ends running requests with Unavailable. Waits for a load that is under way, which cannot be
  // broken off.
  ~ModelHost();
  ModelHost(const ModelHost&) = delete;
  ModelHost& operator=(const ModelHost&) = delete;

  // Loads the first model on a thread of its own. A failure ends in kGone. Called once at most.
  void StartLoading();
  // Serves a model that is there already as the first. FailedPrecondition unless the state is
  // kLoading.
  absl::Status Adopt(LoadedModel loaded);

  // Serves the model of `source`, in place of the one that is there, if any. What can be checked
  // without memory is checked while that one serves on; then it takes no new requests, what runs
  // gets `grace` to end, and the new one is loaded: beside the old one if there is room for both,
  // else once its memory is free. If that fails, the old one serves again, loaded anew if its
  // memory was given up; if that fails too, the worker is empty. Aborted while a load or unload is
  // under way; Unavailable while draining. Otherwise `listener` hears how it went on.
  absl::Status Replace(ModelSource source, absl::Duration grace, ChangeListener listener);
  // Ends in kEmpty. NotFound unless the model is called `name`, or `name` is empty; else as
  // Replace.
  absl::Status Unload(absl::string_view name, absl::Duration grace, ChangeListener listener);

  // An empty name finds the one model. NotFound for another name, and without a model; Unavailable
  // while it loads or goes, and after it is gone.
  absl::StatusOr<std::shared_ptr<ServedModel>> Find(absl::string_view name) const;
  std::string name() const;  // status().model
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
  using Served = std::shared_ptr<ServedModel>;

  // model_changes.cc: what the loader's thread does.
  absl::StatusOr<uint64_t> BeginChangeLocked();
  void EndChange(uint64_t change);
  void RunOnLoader(std::function<void()> job);
  void LoadFirst();
  absl::StatusOr<Served> ReplaceWith(const ModelSource& source, absl::Duration grace,
                                     const ModelLoader::Progress& progress);
  absl::StatusOr<Served> LoadInPlaceOf(const Served& old, OpenedModel opened,
                                       const ModelLoader::Progress& progress);
  absl::StatusOr<Served> OpenAndLoad(const ModelSource& source, std::shared_ptr<Device> device,
                                     const ModelLoader::Progress& progress);
  absl::StatusOr<Served> LoadOpened(OpenedModel opened, const ModelLoader::Progress& progress);
  absl::Status ReturnTo(const Served& old, const std::shared_ptr<Device>& device,
                        const absl::Status& why);
  absl::Status Fail(const absl::Status& why);
  absl::Status UnloadOld(const Served& old, absl::Duration grace);
  absl::Status Retire(const Served& old, const std::string& successor, absl::Duration grace);
  absl::Status WaitUntilIdle(StepLoop& loop, const absl::Status& refusal,
                             absl::Duration grace) const;
  absl::Status LeaveLocked();
  absl::StatusOr<Served> Serve(const ModelSource& source, LoadedModel loaded);
  void LogReady(const ServedModel& model, absl::Time start) const;

  void NoteLoadProgress();
  void OnLoadChange(uint64_t model, const LoadSnapshot& load);
  void OnRegistryChange(uint64_t model, const std::shared_ptr<const RegistrySnapshot>& registry);
  void CountEntriesLocked(const RegistrySnapshot& registry);
  std::shared_ptr<WorkerMetrics> Metrics() const;
  void SetModelLocked(const std::string& name, const std::string& other,
                      std::shared_ptr<WorkerMetrics> metrics = nullptr);
  absl::Status BecomeReady(const Served& served);
  absl::Status WhyNobodyLocked(absl::string_view name) const;
  void StartDrainLocked();
  void FinishDrain();
  void ReportFailure(const absl::Status& status) const;
  void TransitionToLocked(ModelState state);
  void NotifyLocked();

  const Options options_;
  const ModelLoader loader_;

  mutable std::mutex mu_;
  std::condition_variable changed_;  // of status_.state or stopping_
  // All guarded by mu_:
  HostStatus status_;
  std::string other_model_;  // the successor of one that unloads, the predecessor of one that loads
  std::string last_failure_;                // why there is no model
  Served served_;                           // null unless ready or draining
  Served outgoing_;                         // null unless unloading
  uint64_t last_number_ = 0;                // of the models that were loaded, to tell them apart
  uint64_t number_ = 0;                     // of the one whose load and registry the status has
  std::shared_ptr<WorkerMetrics> metrics_;  // of status_.model; null without a registry
  std::map<int64_t, Listener> listeners_;
  int64_t next_listener_ = 0;
  uint64_t last_change_ = 0;
  uint64_t change_ = 0;  // the one that is under way; 0: none
  bool stopping_ = false;
  absl::Time last_load_progress_;  // by Steady
  std::thread loader_thread_;      // started under mu_
  std::thread drainer_;            // started under mu_
};

}  // namespace skein
