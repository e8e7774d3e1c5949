// A plan and its results where the stream computes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "kernels/device/arena.h"
#include "kernels/device/stream.h"
#include "kernels/mix_logits/mix_logits.h"
#include "kernels/sample/sample.h"
#include "worker/engine/batch_plan.h"
#include "worker/models/model.h"

namespace skein {

// Most of everything that one step can hold.
struct StepCapacity {
  int64_t rows = 0;
  int64_t sequences = 0;
  int64_t outputs = 0;
};

// Fixed places in device memory, mirrored in pinned host memory, so that a step's inputs travel in
// one copy and a recorded graph finds them where they were. CUDA only.
class StepBuffers {
 public:
  static absl::StatusOr<std::unique_ptr<StepBuffers>> Create(const StepCapacity& capacity,
                                                             const Stream& stream);

  // Writes the plan and enqueues its way to the device. A decode is filled up to `decodes`
  // sequences with ones that are nobody's, and has as many outputs and, if it mixes, groups; 0
  // fills nothing. Lists that have outgrown their place get a larger one: true if so, and then what
  // was recorded with the old ones is void.
  absl::StatusOr<bool> Stage(const BatchPlan& plan, int64_t decodes);

  // Of what was staged.
  int64_t pages_per_sequence() const { return pages_per_sequence_; }
  int64_t num_model_outputs() const { return model_outputs_; }
  int64_t num_outputs() const { return outputs_; }
  int64_t num_mixed() const { return mixed_; }

  // Views of what was staged; logits, state and pages are left to the caller.
  ModelBatch Batch() const;
  MixLogitsArgs Mixing() const;
  SampleArgs Sampling() const;

  // Enqueues the way back.
  absl::Status Fetch();
  // What Fetch brought, after Synchronize.
  const int32_t* tokens() const { return Host<int32_t>(results_at_); }
  const SampleOutcome* outcomes() const { return Host<SampleOutcome>(outcomes_at_); }
  const float* logprobs() const { return Host<float>(logprobs_at_); }
  const int32_t* top_tokens() const { return Host<int32_t>(top_tokens_at_); }
  const float* top_logprobs() const { return Host<float>(top_logprobs_at_); }

 private:
  // A list that has no fixed length.
  struct List {
    std::unique_ptr<Arena> host, device;
    int64_t size = 0;  // bytes
  };
  enum { kPenalties, kBiases, kBanned, kMasks, kPages, kNumLists };

  StepBuffers(const StepCapacity& capacity, const Stream& stream)
      : capacity_(capacity), stream_(stream) {}
  absl::Status Allocate();
  void Lay();
  int64_t Place(int64_t bytes);
  void Write(const BatchPlan& plan);
  void FillSequences(const BatchPlan& plan);
  void FillOutputs(const BatchPlan& plan);
  absl::Status StagePages(const BatchPlan& plan, bool& moved);
  absl::Status StageList(int list, const void* data, int64_t bytes, bool& moved);

  template <typename T>
  T* Host(int64_t at) const {
    return reinterpret_cast<T*>(static_cast<std::byte*>(host_->data()) + at);
  }
  template <typename T>
  T* On(int64_t at) const {
    return reinterpret_cast<T*>(static_cast<std::byte*>(device_->data()) + at);
  }
  template <typename T>
  TensorView<const T> ListView(int list) const {
    const int64_t count = lists_[list].size / static_cast<int64_t>(sizeof(T));
    if (lists_[list].device == nullptr) return {};
    return {static_cast<const T*>(lists_[list].device->data()), {count}};
  }

  const StepCapacity capacity_;
  const Stream stream_;
  std::unique_ptr<Arena> host_, device_;
  List lists_[kNumLists];
  int64_t next_ = 0;
  int64_t tokens_at_ = 0, positions_at_ = 0, row_begin_at_ = 0, slots_at_ = 0, logit_rows_at_ = 0;
  int64_t sampled_from_at_ = 0, samples_at_ = 0, penalty_begin_at_ = 0, bias_begin_at_ = 0,
          banned_begin_at_ = 0;
  int64_t mix_begin_at_ = 0, mix_rows_at_ = 0, mix_weights_at_ = 0;  // last: few steps have them
  int64_t inputs_end_ = 0;
  int64_t results_at_ = 0, outcomes_at_ = 0, logprobs_at_ = 0, top_tokens_at_ = 0;
  int64_t top_logprobs_at_ = 0, results_end_ = 0;

  // Of what was staged.
  int64_t rows_ = 0, sequences_ = 0, model_outputs_ = 0, outputs_ = 0, max_rows_ = 0;
  int64_t mixed_ = 0, mix_terms_ = 0;
  int64_t pages_per_sequence_ = 0, mask_words_ = 0;
  bool tops_wanted_ = false;
};

}  // namespace skein
