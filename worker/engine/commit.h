// StepResult -> sequences and outbox: counts tokens, assembles text, finds the end of each choice.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

#include "common/base/clock.h"
#include "common/text/tokenizer.h"
#include "worker/engine/batch_plan.h"
#include "worker/engine/outbox.h"
#include "worker/engine/sequence_set.h"
#include "worker/engine/step_runner.h"
#include "worker/metrics.h"

namespace skein {

// Owned by the loop's thread. What it finds finished it marks (Sequence::finished,
// ActiveRequest::ended); taking those out of the set and telling the sink the end is the caller's.
class Committer {
 public:
  // Borrows; `tokenizer` and `metrics` may be null.
  Committer(SequenceSet* sequences, Outbox* outbox, const Tokenizer* tokenizer, const Clock* clock,
            WorkerMetrics* metrics)
      : sequences_(*sequences),
        outbox_(*outbox),
        tokenizer_(tokenizer),
        clock_(*clock),
        metrics_(metrics) {}

  void Commit(const BatchPlan& plan, const StepResult& result, uint64_t step);

 private:
  void CommitEntry(const BatchPlan::Entry& entry, const StepResult& result);
  // False, with the request ended, if the logits of a prompt token are not finite.
  bool KeepScores(const BatchPlan::Entry& entry, const StepResult& result);
  void Start(ActiveRequest& request);
  void FinishUndrawn(Sequence& sequence);
  void CommitDraw(Sequence& sequence, const StepResult& result, int output);
  // Appends the token's text to the chunk and sets how the choice ended, if it did.
  void Extend(Sequence& sequence, int32_t token, OutputChunk& chunk) const;
  void ObserveDraw(Sequence& sequence) const;
  void CountFinish(FinishReason reason) const;
  void Finish(Sequence& sequence) const;

  SequenceSet& sequences_;
  Outbox& outbox_;
  const Tokenizer* const tokenizer_;
  const Clock& clock_;
  WorkerMetrics* const metrics_;
  absl::Time now_;  // of this step
};

}  // namespace skein
