// A model loaded to run one sequence, or several states of it side by side, without engine or
// server.
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
#include "tools/skein-eval/conditions.h"
#include "tools/skeinctl/options.h"
#include "worker/memory/page_pool.h"
#include "worker/memory/state_pool.h"
#include "worker/models/model.h"

namespace skein::eval {

struct RunnerOptions {
  std::string model;
  std::string backend = "cpu";
  int64_t chunk = 256;                            // rows of one step
  int threads = 0;                                // 0: one per core
  std::optional<float> rope_theta, rms_norm_eps;  // for .pth hybrids, which do not hold them
  Conditions conditions;
};
// --model, --backend, --chunk, --threads, --rope-theta, --rms-norm-eps and those of Conditions.
std::vector<ctl::Option> RunnerOptionTable(RunnerOptions& out);

// Not thread-safe.
class SequenceRunner {
 public:
  // For sequences of up to `max_tokens` tokens. InvalidArgument if --model is missing or the
  // backend has no name of ours, Unavailable where there is no GPU for it; else as
  // ModelFiles::Open, LoadModel and LoadConditions.
  static absl::StatusOr<std::unique_ptr<SequenceRunner>> Create(const RunnerOptions& options,
                                                                int64_t max_tokens);

  // Feeds `tokens` and calls `row` with the logits [vocab] after each, in order; an error of `row`
  // ends the run. InvalidArgument, naming the place, for a token that is not in the vocabulary.
  absl::Status Feed(std::span<const int32_t> tokens,
                    const std::function<absl::Status(std::span<const float> logits)>& row);

  // Begins a sequence anew, from its states if there are any.
  void Reset();

  const ModelDescription& model() const { return model_->description(); }
  // What sequences start from and which adapters they have, in lines; empty for nothing.
  const std::string& DescribeConditions() const { return conditions_.description; }

 private:
  // What a step reads and writes, where both the host and the device can. Rows are those of all
  // branches, one branch after the other.
  struct Staged {
    std::unique_ptr<Arena> arena;
    TensorView<int32_t> tokens, positions, logit_rows;  // [rows]
    TensorView<int32_t> row_begin;                      // [branches + 1]
    TensorView<int32_t> slots;                          // [branches]
    TensorView<int32_t> pages;                          // [branches * pages of max_tokens]
    TensorView<float> logits;                           // [rows, vocab]
    TensorView<int32_t> mix_begin, mix_rows;            // [chunk + 1], [rows]
    TensorView<float> mix_weights;                      // [rows]
  };
  struct Branch {
    int32_t slot = 0;
    PageList pages;
  };

  explicit SequenceRunner(int64_t chunk) : chunk_(chunk) {}
  absl::Status Load(const RunnerOptions& options, int64_t max_tokens);
  absl::Status MakeBranches(int64_t max_tokens);
  absl::Status Stage(int64_t max_tokens);
  absl::Status Step(std::span<const int32_t> tokens);
  // Row i of the logits becomes the sum over the branches.
  absl::Status Mix(int64_t rows);
  int64_t num_branches() const { return static_cast<int64_t>(branches_.size()); }

  const int64_t chunk_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Model> model_;
  LoadedConditions conditions_;
  std::unique_ptr<StatePool> states_;
  std::unique_ptr<PagePool> pages_;
  std::vector<Branch> branches_;
  int64_t seen_ = 0;
  Staged staged_;
};

}  // namespace skein::eval
