// BatchPlan -> StepResult: one forward pass and one sampling pass on the stream.
#pragma once

#include <cstdint>
#include <memory>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "kernels/device/arena.h"
#include "kernels/device/memory.h"
#include "kernels/device/stream.h"
#include "kernels/mix_logits/mix_logits.h"
#include "worker/engine/batch_plan.h"
#include "worker/engine/step_buffers.h"
#include "worker/memory/page_pool.h"
#include "worker/memory/state_pool.h"
#include "worker/models/model.h"

namespace skein {

// By output of the plan.
struct StepResult {
  std::vector<int32_t> tokens;
  std::vector<SampleOutcome> outcomes;
  std::vector<float> logprobs;
  std::vector<int32_t> top_tokens;  // [outputs, kMaxTopLogprobs]
  std::vector<float> top_logprobs;  // [outputs, kMaxTopLogprobs]
};

// Owned by the loop's thread. To it each branch of a mixture is a sequence. On CUDA a step in which
// every sequence decodes is filled up to one of
// a few sizes and replayed as a graph from its second time on; other steps are enqueued kernel by
// kernel.
class StepRunner {
 public:
  struct Limits {
    int64_t max_rows = 0;
    int64_t max_sequences = 0;
    int64_t max_outputs = 0;
  };

  // Borrows the model and the pools. ResourceExhausted if the logits of all outputs cannot be held.
  static absl::StatusOr<std::unique_ptr<StepRunner>> Create(Model* model, const StatePool* states,
                                                            const PagePool* pages,
                                                            const Stream& stream,
                                                            const Limits& limits);

  // Calls `meanwhile` once while the step runs on a GPU, or before it on the CPU; after an error it
  // may not have been called. The result is valid until the next call. An error is the model's:
  // what its state holds is then unknown.
  absl::StatusOr<const StepResult*> Run(
      const BatchPlan& plan, absl::FunctionRef<void()> meanwhile = [] {});

  // Make such a step ready before it is wanted: kernels are loaded, products of shapes that nothing
  // is known of are measured, the decode of a model without KV cache is recorded. At most what the
  // limits allow. On the CPU there is nothing to do.
  absl::Status WarmUpDecode(int64_t sequences);
  absl::Status WarmUpPrompt(int64_t rows);
  // All sizes within the limits; `on_step` is called after each.
  absl::Status WarmUp(absl::FunctionRef<void()> on_step);

  // The number of sequences that a decode of `sequences` is filled up to.
  static int64_t Bucket(int64_t sequences);

 private:
  // Sequences, pages of each, and whether logits are mixed.
  using GraphKey = std::tuple<int64_t, int64_t, bool>;

  StepRunner(Model* model, const StatePool* states, const PagePool* pages, const Stream& stream,
             const Limits& limits)
      : model_(*model), states_(*states), pages_(*pages), stream_(stream), limits_(limits) {}
  absl::Status RunOnCpu(const BatchPlan& plan);
  absl::Status RunOnCuda(const BatchPlan& plan, absl::FunctionRef<void()> meanwhile);
  absl::Status Enqueue();
  absl::Status RunTuning(const BatchPlan& plan, int64_t decodes);
  absl::Status Replay(const GraphKey& key);
  absl::Status Forward(ModelBatch batch);
  absl::Status Mix(MixLogitsArgs args, int64_t num_model_outputs);
  absl::Status SampleOutputs(SampleArgs args, int64_t num_model_outputs);
  void ResizeResult(int64_t num_outputs);
  static bool IsDecode(const BatchPlan& plan);
  int64_t vocab() const { return model_.description().vocab_size; }

  Model& model_;
  const StatePool& states_;
  const PagePool& pages_;
  const Stream stream_;
  const Limits limits_;
  std::unique_ptr<Arena> arena_;
  TensorView<float> logits_;              // [max_outputs, vocab], of arena_
  std::unique_ptr<StepBuffers> buffers_;  // on CUDA
  // Null after a step of that size has run once, which makes libraries and kernels ready.
  absl::flat_hash_map<GraphKey, std::unique_ptr<Graph>> graphs_;
  StepResult result_;
};

}  // namespace skein
