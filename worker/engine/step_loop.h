// The thread that owns all running sequences of a model.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/base/clock.h"
#include "common/text/tokenizer.h"
#include "kernels/device/stream.h"
#include "worker/engine/generation_request.h"
#include "worker/metrics.h"
#include "worker/models/model.h"

namespace skein {

struct EngineLimits {
  int max_sequences = 64;              // state slots besides the zero state; each branch takes one
  int max_queue = 512;                 // waiting requests
  int64_t max_queue_tokens = 1 << 20;  // their prompt tokens together, unless it is one request
  int max_rows_per_step = 512;         // decode and prefill rows together
  int prefill_chunk = 256;             // rows of one prompt in one step
  // A step in which prompts are fed beside decodes should take no longer.
  absl::Duration prefill_target = absl::InfiniteDuration();
  int page_tokens = 16;
  int64_t kv_bytes = int64_t{1} << 30;  // for all KV pages; unused without attention layers
};

// Outputs whose logits are held at once: one of each sequence, and scored rows of prompts.
int64_t MaxOutputs(const EngineLimits& limits);

// What the gateway routes by.
struct LoadSnapshot {
  int running = 0;  // slots held: one for each branch of each sequence
  int waiting = 0;  // requests in the queue
  int free_state_slots = 0;
  int64_t free_kv_pages = 0;
  int64_t waiting_tokens = 0;  // prompt tokens not yet fed
  uint64_t steps = 0;
  bool draining = false;
  bool failed = false;  // the model failed: nothing is accepted any more
  bool operator==(const LoadSnapshot&) const = default;
};

// Thread-safe. One step: take commands, plan, run, commit; it blocks only when nothing runs.
class StepLoop {
 public:
  struct Options {
    EngineLimits limits;
    const Clock* clock = &Clock::Real();
    WorkerMetrics* metrics = nullptr;  // may be null
    // Called by Create while it gets ready what would otherwise keep the first steps waiting. May
    // be null.
    std::function<void()> on_progress;
    // Called by the loop's thread whenever a field of the snapshot other than `steps` changed. Must
    // not block.
    std::function<void(const LoadSnapshot&)> on_load_change;
  };

  // Takes its pools and starts the thread. `tokenizer` may be null: text stays empty.
  // InvalidArgument for limits that cannot work, ResourceExhausted if the pools do not fit.
  static absl::StatusOr<std::unique_ptr<StepLoop>> Create(
      std::unique_ptr<Model> model, std::shared_ptr<const Tokenizer> tokenizer,
      const Stream& stream, Options options);
  ~StepLoop();  // Close
  StepLoop(const StepLoop&) = delete;
  StepLoop& operator=(const StepLoop&) = delete;

  // Never blocks. The id names the request in Cancel. ResourceExhausted if the queue is full (then
  // RetryAfterOf says when to come back); Unavailable while draining, or after the model failed;
  // InvalidArgument for values that the model cannot take and for a request that could never fit;
  // Unimplemented for conditioning by more than one state.
  // All of these but refused values have a ReasonOf. The sink is called only if this returned an
  // id.
  absl::StatusOr<uint64_t> Submit(GenerationRequest request);
  // What Submit would say to any request, however small: lets a caller refuse before it works on
  // one.
  absl::Status CheckRoom() const;
  // Frees the request's place in the queue at once, its sequences before the next step, and ends it
  // with Cancelled. No effect if it has ended.
  void Cancel(uint64_t id);
  // From now on Submit answers Unavailable, or `refusal`; what was accepted runs on.
  void Drain();
  void Drain(absl::Status refusal);
  // Ends the draining. Not once the loop was closed.
  void Resume();
  // Ends with `status` what was accepted before.
  void EndAll(absl::Status status);
  // True once nothing runs or waits, false when `timeout` passed first.
  bool WaitIdle(absl::Duration timeout);
  // Ends every request with Unavailable, joins the thread, and frees the model and its pools,
  // though somebody may still hold the loop: from then on it refuses and cancels nothing. Not
  // beside Bind.
  void Close();

  LoadSnapshot Load() const;
  // How long there has been work and no step has come back.
  absl::Duration StalledFor() const;
  // The adapter in the places of this loop's model, for the conditioning of requests. Errors as
  // Model::Bind has them; Unavailable once the loop was closed.
  absl::StatusOr<std::shared_ptr<const BoundAdapter>> Bind(
      std::shared_ptr<const Adapter> adapter) const;
  const ModelDescription& model() const;
  const StateLayout& state_layout() const;  // of every InitialState
  int64_t state_bytes_per_sequence() const;
  int64_t kv_bytes_per_token() const;
  // Longest prompt plus output that the pools can hold for one sequence; no limit (INT64_MAX)
  // without attention layers.
  int64_t max_tokens_per_sequence() const;

 private:
  class Impl;
  explicit StepLoop(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace skein
