// A model loaded to run one sequence, without engine or server.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "kernels/device/arena.h"
#include "kernels/device/device.h"
#include "tools/skeinctl/options.h"
#include "worker/memory/page_pool.h"
#include "worker/memory/state_pool.h"
#include "worker/models/model.h"
#include "worker/registry/tuned_state.h"

namespace skein::eval {

struct RunnerOptions {
  std::string model;
  std::string backend = "cpu";
  int64_t chunk = 256;                            // rows of one step
  int threads = 0;                                // 0: one per core
  std::optional<float> rope_theta, rms_norm_eps;  // for .pth hybrids, which do not hold them
  std::string state;  // FILE or FILE:LAYOUT of a tuned state; empty: sequences start from zeros
};
// --model, --backend, --chunk, --threads, --rope-theta, --rms-norm-eps, --state.
std::vector<ctl::Option> RunnerOptionTable(RunnerOptions& out);

// Not thread-safe.
class SequenceRunner {
 public:
  // For sequences of up to `max_tokens` tokens. InvalidArgument if --model is missing or the
  // backend has no name of ours, Unavailable where there is no GPU for it; else as
  // ModelFiles::Open, LoadModel and LoadTunedState.
  static absl::StatusOr<std::unique_ptr<SequenceRunner>> Create(const RunnerOptions& options,
                                                                int64_t max_tokens);

  // Feeds `tokens` and calls `row` with the logits [vocab] after each, in order; an error of `row`
  // ends the run. InvalidArgument, naming the place, for a token that is not in the vocabulary.
  absl::Status Feed(std::span<const int32_t> tokens,
                    const std::function<absl::Status(std::span<const float> logits)>& row);

  // Begins a sequence anew, from the tuned state if there is one.
  void Reset();

  const ModelDescription& model() const { return model_->description(); }
  // What sequences start from, in lines; empty for zeros.
  std::string DescribeState() const;

 private:
  // What a step reads and writes, where both the host and the device can.
  struct Staged {
    std::unique_ptr<Arena> arena;
    TensorView<int32_t> tokens, positions, logit_rows;  // [chunk]
    TensorView<int32_t> row_begin;                      // [2]
    TensorView<int32_t> slot;                           // [1]
    TensorView<int32_t> pages;                          // [pages of max_tokens]
    TensorView<float> logits;                           // [chunk, vocab]
  };

  explicit SequenceRunner(int64_t chunk) : chunk_(chunk) {}
  absl::Status Load(const RunnerOptions& options, int64_t max_tokens);
  absl::Status LoadState(const std::string& state);
  absl::Status Stage(int64_t max_tokens);
  absl::Status Step(std::span<const int32_t> tokens);

  const int64_t chunk_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Model> model_;
  std::optional<TunedState> tuned_;
  std::unique_ptr<StatePool> states_;
  std::unique_ptr<PagePool> pages_;
  int32_t slot_ = 0;
  PageList page_list_;
  int64_t seen_ = 0;
  Staged staged_;
};

}  // namespace skein::eval
