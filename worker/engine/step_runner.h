// BatchPlan -> StepResult: one forward pass and one sampling pass on the stream.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "kernels/device/arena.h"
#include "kernels/device/stream.h"
#include "worker/engine/batch_plan.h"
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

// Owned by the loop's thread.
class StepRunner {
 public:
  // Borrows the model and the pools. ResourceExhausted if the logits of `max_outputs` outputs
  // cannot be held.
  static absl::StatusOr<std::unique_ptr<StepRunner>> Create(Model* model, const StatePool* states,
                                                            const PagePool* pages,
                                                            const Stream& stream,
                                                            int64_t max_outputs);

  // The result is valid until the next call. An error is the model's: what its state holds is then
  // unknown.
  absl::StatusOr<const StepResult*> Run(const BatchPlan& plan);

 private:
  StepRunner(Model* model, const StatePool* states, const PagePool* pages, const Stream& stream)
      : model_(*model), states_(*states), pages_(*pages), stream_(stream) {}
  absl::Status Forward(const BatchPlan& plan);
  absl::Status SampleOutputs(const BatchPlan& plan);

  Model& model_;
  const StatePool& states_;
  const PagePool& pages_;
  const Stream stream_;
  std::unique_ptr<Arena> arena_;
  TensorView<float> logits_;  // [max_outputs, vocab], of arena_
  StepResult result_;
};

}  // namespace skein
