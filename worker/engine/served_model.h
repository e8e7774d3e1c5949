// A model in use, and what its requests are checked against.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"

#include "common/text/model_text.h"
#include "kernels/device/device.h"
#include "worker/engine/model_source.h"
#include "worker/engine/step_loop.h"
#include "worker/models/model.h"
#include "worker/registry/registry.h"
#include "worker/weights/model_files.h"

namespace skein {

// What requests for a model are checked against. Immutable.
struct ModelProfile {
  std::string name;
  ModelDescription description;
  ModelText text;
  std::optional<std::vector<std::string>> default_stop;  // unset: chats stop at their format's
  SamplingDefaults defaults;
  int64_t max_prompt_tokens = 0;
  int64_t max_tokens = 0;  // of a request's output: its limit and its default
  int64_t max_total_tokens = std::numeric_limits<int64_t>::max();  // prompt and output
  int max_sequences = 0;
  int64_t state_bytes_per_sequence = 0;
  int64_t kv_bytes_per_token = 0;
  DType state_dtype = DType::kF32;  // of the WKV states
  std::string merged_adapter;       // its name; empty: none
  std::string fingerprint;          // changes with weights, tokenizer and arithmetic
  absl::Time loaded;
};

// What a load gives.
struct LoadedModel {
  std::unique_ptr<Model> model;
  ModelText text;
  std::shared_ptr<Device> device;
  std::unique_ptr<ModelFiles> files = nullptr;  // null: the model takes no adapters
  int64_t planned_bytes = 0;                    // of its device, by the memory plan
};

// Whoever holds one keeps its profile and its loop alive, but not the memory of the model: that
// goes with Close. The step loop's thread must not be the last to let go. Between Park and Resume
// the model computes nothing and its registry stays as it is.
struct ServedModel {
  ~ServedModel();

  ModelProfile profile;
  ModelSource source;
  std::shared_ptr<Device> device;  // used by `loop`; null once closed
  // What adapters are checked against and computed from; null if the model did not come from files,
  // or is closed.
  std::unique_ptr<ModelFiles> files;
  std::unique_ptr<Registry> registry;  // changed by a RegistryKeeper alone, through Change
  std::unique_ptr<StepLoop> loop;
  int64_t planned_bytes = 0;
  uint64_t number = 0;                     // of all that its host has served
  std::shared_ptr<WorkerMetrics> metrics;  // that `loop` writes; null without, and once closed

  // Runs `change` of the registry unless the model is parked or closed: Unavailable then.
  absl::Status Change(absl::FunctionRef<absl::Status()> change);
  // Waits for a change that is under way; there is none until Resume. To be called when nothing
  // runs any more and the loop drains.
  void Park();
  // Serves again.
  void Resume();
  // Ends with Unavailable what still runs, and frees all memory of the model. One call at a time.
  void Close();

 private:
  std::mutex change_mu_;
  bool parked_ = false;  // guarded by change_mu_
  bool closed_ = false;  // used by Close alone
};

}  // namespace skein
