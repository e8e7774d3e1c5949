// A random model with pools and a step runner around it: the engine without its loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "common/tensor/dtype.h"
#include "kernels/device/device.h"
#include "kernels/device/parallel_for.h"
#include "tools/random_model/shapes.h"
#include "tools/skein-bench/model_cost.h"
#include "tools/skeinctl/options.h"
#include "worker/engine/step_runner.h"
#include "worker/memory/page_pool.h"
#include "worker/memory/state_pool.h"
#include "worker/models/model.h"

namespace skein::bench {

// What is measured: the options that the commands share.
struct EngineOptions {
  random_model::ModelShape shape;
  std::string backend;  // "cpu" or "cuda"
  DType format = DType::kF16;
  DType state = DType::kF32;  // of the WKV states; on the CPU fp32 alone
  uint64_t seed = 0;
  int threads = 0;  // of the host; 0: one per core
  // As in GpuOptions.
  bool batch_invariant = false;
  std::string cache_directory;
  bool autotune = true;
};

// Unavailable, with the reason, if the backend cannot be used here.
absl::StatusOr<std::unique_ptr<Device>> OpenDevice(const EngineOptions& options);

// How much of it.
struct EngineSize {
  int64_t max_rows = 1;             // of one step
  int64_t sequences = 1;            // at once
  int64_t tokens_per_sequence = 1;  // keys and values are kept for so many
};

class Engine {
 public:
  static constexpr int kPageTokens = 16;

  // Unavailable, with the reason, if the backend cannot be used here, ResourceExhausted without the
  // memory.
  static absl::StatusOr<std::unique_ptr<Engine>> Create(const EngineOptions& options,
                                                        const EngineSize& size);

  const EngineOptions& options() const { return options_; }
  const EngineSize& size() const { return size_; }
  const Model& model() const { return *model_; }
  StatePool& states() { return *states_; }
  PagePool& pages() { return *pages_; }
  StepRunner& runner() { return *runner_; }
  Device& device() { return *device_; }
  ParallelFor& threads() { return threads_; }  // of the host
  double load_seconds() const { return load_seconds_; }

  ModelCost cost() const;
  // Fills all pages with values as attention finds them, so that no context needs to be fed.
  absl::Status FillPages();
  // A field of the state record of `slot`, in fp32.
  absl::StatusOr<std::vector<float>> ReadState(int32_t slot, const StateField& field);

 private:
  Engine(const EngineOptions& options, const EngineSize& size)
      : options_(options), size_(size), threads_(options.threads) {}
  absl::Status Load();
  absl::Status MakePools();

  const EngineOptions options_;
  const EngineSize size_;
  ParallelFor threads_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<StatePool> states_;
  std::unique_ptr<PagePool> pages_;
  std::unique_ptr<StepRunner> runner_;
  double load_seconds_ = 0;
};

}  // namespace skein::bench
