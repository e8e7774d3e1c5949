// A batch of sequences with prompts of their own, fed and decoded through the step runner.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "tools/skein-bench/engine.h"
#include "worker/engine/batch_plan.h"

namespace skein::bench {

struct BatchOptions {
  int64_t sequences = 1;
  int64_t prompt_tokens = 16;  // of each
  // Tokens before the prompt, whose keys and values Engine::FillPages made.
  int64_t context = 0;
  int64_t max_new_tokens = 1;
  bool lockstep = false;  // prompts are fed as if they were decoded: a token of each in every step
  int num_top = 0;        // likeliest tokens to report with each drawn one
};

// Draws with temperature 1 and top_p 0.8. Not thread-safe.
class Batch {
 public:
  // Takes slots and pages of the engine, which must outlive the batch. ResourceExhausted if it has
  // too few.
  static absl::StatusOr<Batch> Create(Engine& engine, const BatchOptions& options);
  Batch(Batch&&) noexcept;
  Batch& operator=(Batch&&) = delete;
  ~Batch();

  // Back to the state before the prompts.
  void Reset();
  // Feeds all prompts in steps of at most the engine's max_rows, packed one after the other, and
  // draws the first token of each sequence.
  absl::Status Prefill();
  // Feeds the drawn token of each sequence and draws the next. After Prefill.
  absl::Status Step();

  // Drawn so far, by sequence within draw: [draws, sequences].
  const std::vector<int32_t>& drawn() const { return drawn_; }
  // Of the last draw, [sequences, kMaxTopLogprobs]; num_top of a row are filled.
  const std::vector<int32_t>& top_tokens() const { return top_tokens_; }
  const std::vector<float>& top_logprobs() const { return top_logprobs_; }
  int32_t slot(int64_t sequence) const { return sequences_[sequence].slot; }

 private:
  struct Sequence {
    int32_t slot = 0;
    PageList pages;
    std::vector<int32_t> prompt;
    int64_t fed = 0;  // tokens of the prompt
  };

  Batch(Engine& engine, const BatchOptions& options) : engine_(&engine), options_(options) {}
  absl::Status Take();
  absl::Status PrefillInLockstep();
  void ClearPlan();
  void AddRows(Sequence& sequence, int64_t rows);
  void AddSequence(const Sequence& sequence);
  void AddDraw(int64_t sequence);
  // Runs the plan; its outputs are for the sequences from `first` on.
  absl::Status Run(int64_t first);

  Engine* engine_;  // null after a move
  BatchOptions options_;
  std::vector<Sequence> sequences_;
  int64_t num_draws_ = 0;  // of each sequence
  std::vector<int32_t> drawn_, top_tokens_;
  std::vector<float> top_logprobs_;
  BatchPlan plan_;
};

}  // namespace skein::bench
