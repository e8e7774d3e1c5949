#include "tools/skein-bench/batch.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace skein::bench {
namespace {

constexpr float kTopP = 0.8f;

}  // namespace

absl::StatusOr<Batch> Batch::Create(Engine& engine, const BatchOptions& options) {
  Batch batch(engine, options);
  RETURN_IF_ERROR(batch.Take());
  return batch;
}

Batch::Batch(Batch&& other) noexcept
    : engine_(std::exchange(other.engine_, nullptr)),
      options_(other.options_),
      sequences_(std::move(other.sequences_)),
      num_draws_(other.num_draws_),
      drawn_(std::move(other.drawn_)),
      top_tokens_(std::move(other.top_tokens_)),
      top_logprobs_(std::move(other.top_logprobs_)),
      plan_(std::move(other.plan_)) {}

Batch::~Batch() {
  if (engine_ == nullptr) return;
  for (Sequence& sequence : sequences_) {
    engine_->states().Free(sequence.slot);
    engine_->pages().Release(sequence.pages);
  }
}

absl::Status Batch::Take() {
  const int64_t tokens = options_.context + options_.prompt_tokens + options_.max_new_tokens;
  const auto vocab = static_cast<uint64_t>(engine_->model().description().vocab_size);
  std::mt19937_64 random(engine_->options().seed + 1);
  for (int64_t s = 0; s < options_.sequences; ++s) {
    Sequence sequence;
    ASSIGN_OR_RETURN(sequence.slot, engine_->states().Allocate());
    for (int64_t t = 0; t < options_.prompt_tokens; ++t) {
      sequence.prompt.push_back(static_cast<int32_t>(random() % vocab));
    }
    sequences_.push_back(std::move(sequence));
    if (!engine_->pages().Extend(sequences_.back().pages, tokens)) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no free KV pages for sequence ", s, " of ", options_.sequences));
    }
  }
  return absl::OkStatus();
}

void Batch::Reset() {
  for (Sequence& sequence : sequences_) {
    engine_->states().Clear(sequence.slot);
    sequence.fed = 0;
  }
  num_draws_ = 0;
  drawn_.clear();
}

void Batch::ClearPlan() {
  plan_.tokens.clear();
  plan_.positions.clear();
  plan_.max_rows = 0;
  plan_.row_begin.assign(1, 0);
  plan_.slots.clear();
  plan_.pages.clear();
  plan_.max_pages = static_cast<int64_t>(sequences_[0].pages.size());
  plan_.logit_rows.clear();
  plan_.sampled_from.clear();
  plan_.samples.clear();
  plan_.penalty_begin.assign(1, 0);
  plan_.bias_begin.assign(1, 0);
  plan_.banned_begin.assign(1, 0);
}

// The next rows of its prompt.
void Batch::AddRows(Sequence& sequence, int64_t rows) {
  for (int64_t i = 0; i < rows; ++i, ++sequence.fed) {
    plan_.tokens.push_back(sequence.prompt[sequence.fed]);
    plan_.positions.push_back(static_cast<int32_t>(options_.context + sequence.fed));
  }
  AddSequence(sequence);
}

void Batch::AddSequence(const Sequence& sequence) {
  const auto end = static_cast<int32_t>(plan_.tokens.size());
  plan_.max_rows = std::max<int64_t>(plan_.max_rows, end - plan_.row_begin.back());
  plan_.row_begin.push_back(end);
  plan_.slots.push_back(sequence.slot);
  plan_.pages.insert(plan_.pages.end(), sequence.pages.begin(), sequence.pages.end());
}

void Batch::AddDraw(int64_t sequence) {
  plan_.sampled_from.push_back(static_cast<int32_t>(plan_.logit_rows.size()));
  plan_.logit_rows.push_back(static_cast<int32_t>(plan_.tokens.size()) - 1);
  plan_.samples.push_back({.temperature = 1.0f,
                           .top_p = kTopP,
                           .seed = static_cast<uint64_t>(sequence) + 1,
                           .step = static_cast<uint64_t>(num_draws_),
                           .num_top = options_.num_top,
                           .logprob = options_.num_top > 0});
  plan_.penalty_begin.push_back(0);
  plan_.bias_begin.push_back(0);
  plan_.banned_begin.push_back(0);
}

absl::Status Batch::Run(int64_t first) {
  ASSIGN_OR_RETURN(const StepResult* const result, engine_->runner().Run(plan_));
  const int64_t vocab = engine_->model().description().vocab_size;
  for (int64_t i = 0; i < plan_.num_outputs(); ++i) {
    if (result->outcomes[i] != SampleOutcome::kOk) {
      return absl::DataLossError(absl::StrCat("sequence ", first + i, ", draw ", num_draws_,
                                              ": the logits are not finite"));
    }
    if (result->tokens[i] < 0 || result->tokens[i] >= vocab) {
      return absl::DataLossError(absl::StrCat("sequence ", first + i, ", draw ", num_draws_,
                                              ": token ", result->tokens[i],
                                              ", the vocabulary has ", vocab));
    }
    drawn_.push_back(result->tokens[i]);
  }
  if (options_.num_top > 0) {
    const auto at = static_cast<std::ptrdiff_t>(first * kMaxTopLogprobs);
    top_tokens_.resize(sequences_.size() * kMaxTopLogprobs);
    top_logprobs_.resize(sequences_.size() * kMaxTopLogprobs);
    std::copy(result->top_tokens.begin(), result->top_tokens.end(), top_tokens_.begin() + at);
    std::copy(result->top_logprobs.begin(), result->top_logprobs.end(), top_logprobs_.begin() + at);
  }
  return absl::OkStatus();
}

absl::Status Batch::Prefill() {
  SKEIN_CHECK(num_draws_ == 0);
  if (options_.lockstep) return PrefillInLockstep();
  const int64_t max_rows = engine_->size().max_rows;
  size_t next = 0;  // the first sequence whose prompt is not fed
  while (next < sequences_.size()) {
    ClearPlan();
    const auto first_output = static_cast<int64_t>(next);
    for (int64_t room = max_rows; room > 0 && next < sequences_.size();) {
      Sequence& sequence = sequences_[next];
      const int64_t rows = std::min(room, options_.prompt_tokens - sequence.fed);
      AddRows(sequence, rows);
      room -= rows;
      if (sequence.fed < options_.prompt_tokens) break;
      AddDraw(static_cast<int64_t>(next++));
    }
    RETURN_IF_ERROR(Run(first_output));
  }
  ++num_draws_;
  return absl::OkStatus();
}

absl::Status Batch::PrefillInLockstep() {
  for (int64_t t = 0; t < options_.prompt_tokens; ++t) {
    ClearPlan();
    for (int64_t s = 0; s < options_.sequences; ++s) {
      AddRows(sequences_[s], 1);
      if (t + 1 == options_.prompt_tokens) AddDraw(s);
    }
    RETURN_IF_ERROR(Run(0));
  }
  ++num_draws_;
  return absl::OkStatus();
}

absl::Status Batch::Step() {
  SKEIN_CHECK(num_draws_ > 0 && num_draws_ < options_.max_new_tokens);
  const int64_t count = options_.sequences;
  const int64_t position = options_.context + options_.prompt_tokens + num_draws_ - 1;
  const int64_t last = (num_draws_ - 1) * count;
  ClearPlan();
  for (int64_t s = 0; s < count; ++s) {
    plan_.tokens.push_back(drawn_[last + s]);
    plan_.positions.push_back(static_cast<int32_t>(position));
    AddSequence(sequences_[s]);
    AddDraw(s);
  }
  RETURN_IF_ERROR(Run(0));
  ++num_draws_;
  return absl::OkStatus();
}

}  // namespace skein::bench
