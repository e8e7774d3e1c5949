#include "worker/engine/commit.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace skein {
namespace {

std::vector<TokenLogprob> TopOf(const StepResult& result, int output, int count) {
  std::vector<TokenLogprob> top(count);
  for (int i = 0; i < count; ++i) {
    const size_t at = static_cast<size_t>(output) * kMaxTopLogprobs + i;
    top[i] = {result.top_tokens[at], result.top_logprobs[at]};
  }
  return top;
}

TokenOutput OutputOf(const StepResult& result, int output, const LogprobsParams& logprobs) {
  return {.token = result.tokens[output],
          .logprob = result.logprobs[output],
          .top = TopOf(result, output, std::min(logprobs.top, kMaxTopLogprobs))};
}

absl::Status OutcomeError(SampleOutcome outcome, int64_t num_drawn) {
  if (outcome == SampleOutcome::kNothingAllowed) {
    return absl::InvalidArgumentError(
        absl::StrCat("sampling: no token is left that may be drawn, after ", num_drawn, " tokens"));
  }
  return absl::InternalError(
      absl::StrCat("the model's logits are not finite, after ", num_drawn, " tokens"));
}

}  // namespace

void Committer::Commit(const BatchPlan& plan, const StepResult& result, uint64_t step) {
  now_ = clock_.Now();
  for (const BatchPlan::Entry& entry : plan.entries) {
    entry.sequence->last_step = step;
    if (!entry.sequence->request->ended) CommitEntry(entry, result);
  }
}

void Committer::CommitEntry(const BatchPlan::Entry& entry, const StepResult& result) {
  Sequence& sequence = *entry.sequence;
  ActiveRequest& request = *sequence.request;
  if (!KeepScores(entry, result)) return;
  sequence.num_fed += entry.rows;
  if (sequence.remaining() > 0) return;
  if (!request.started) Start(request);
  if (entry.draw < 0) return FinishUndrawn(sequence);
  // Copies are made before the sequence's own token joins it.
  const std::vector<Sequence*> copies =
      entry.num_copies > 0 ? sequences_.Fork(sequence) : std::vector<Sequence*>();
  CommitDraw(sequence, result, entry.draw);
  for (int i = 0; i < entry.num_copies && !request.ended; ++i) {
    CommitDraw(*copies[i], result, entry.first_copy + i);
  }
}

bool Committer::KeepScores(const BatchPlan::Entry& entry, const StepResult& result) {
  const Sequence& sequence = *entry.sequence;
  ActiveRequest& request = *sequence.request;
  for (int i = 0; i < entry.num_scores; ++i) {
    const int output = entry.first_score + i;
    if (result.outcomes[output] != SampleOutcome::kOk) {
      request.ended = OutcomeError(result.outcomes[output], sequence.num_drawn);
      return false;
    }
    request.prompt[sequence.num_fed + i + 1] = OutputOf(result, output, *request.request.logprobs);
  }
  return true;
}

void Committer::Start(ActiveRequest& request) {
  const bool draws = request.request.stopping.max_tokens > 0;
  if (draws) request.first_token = now_ - request.accepted;
  if (metrics_ != nullptr) {
    metrics_->prompt_tokens.Increment(static_cast<double>(request.prompt_size()));
    if (draws) {
      metrics_->first_token_seconds.Observe(absl::ToDoubleSeconds(*request.first_token));
    }
  }
  outbox_.Start(request.request.sink, {.seed = request.request.sampling.seed,
                                       .prompt_tokens = request.prompt_size(),
                                       .prompt = std::move(request.prompt)});
  request.prompt.clear();
  request.started = true;
}

void Committer::FinishUndrawn(Sequence& sequence) {
  ActiveRequest& request = *sequence.request;
  for (int choice = 0; choice < request.request.num_choices; ++choice) {
    OutputChunk chunk;
    chunk.choice = choice;
    chunk.finish = FinishReason::kLength;
    CountFinish(*chunk.finish);
    outbox_.Write(request.request.sink, std::move(chunk));
  }
  request.unfinished_choices = 1;
  Finish(sequence);
}

void Committer::CommitDraw(Sequence& sequence, const StepResult& result, int output) {
  ActiveRequest& request = *sequence.request;
  if (result.outcomes[output] != SampleOutcome::kOk) {
    request.ended = OutcomeError(result.outcomes[output], sequence.num_drawn);
    return;
  }
  const int32_t token = result.tokens[output];
  ++sequence.num_drawn;
  ++sequence.num_untold;
  ++request.completion_tokens;
  sequence.tokens.push_back(token);
  sequence.penalties.Add(token);
  ObserveDraw(sequence);

  OutputChunk chunk;
  chunk.choice = sequence.choice;
  if (request.request.logprobs) {
    chunk.tokens.push_back(OutputOf(result, output, *request.request.logprobs));
  }
  Extend(sequence, token, chunk);
  const bool ended = chunk.finish.has_value();
  if (ended) CountFinish(*chunk.finish);
  if (ended || !chunk.text.empty() || !chunk.tokens.empty()) {
    chunk.drawn = std::exchange(sequence.num_untold, 0);
    outbox_.Write(request.request.sink, std::move(chunk));
  }
  if (ended) Finish(sequence);
}

void Committer::Extend(Sequence& sequence, int32_t token, OutputChunk& chunk) const {
  const StoppingParams& stopping = sequence.request->request.stopping;
  const bool is_end = !stopping.ignore_eos &&
                      std::find(stopping.end_tokens.begin(), stopping.end_tokens.end(), token) !=
                          stopping.end_tokens.end();
  if (is_end) {
    chunk.finish = FinishReason::kStop;
  } else if (sequence.text && !tokenizer_->IsSpecial(token)) {
    chunk.text = sequence.text->Append(tokenizer_->TokenBytes(token),
                                       sequence.num_drawn >= stopping.min_tokens);
    if (sequence.text->stopped()) {
      chunk.finish = FinishReason::kStop;
      chunk.matched_stop = sequence.text->matched_stop();
    }
  }
  if (!chunk.finish && sequence.num_drawn >= stopping.max_tokens) {
    chunk.finish = FinishReason::kLength;
  }
  if (chunk.finish && sequence.text) chunk.text += sequence.text->Finish();
}

void Committer::ObserveDraw(Sequence& sequence) const {
  if (metrics_ == nullptr) return;
  metrics_->generated_tokens.Increment();
  if (sequence.num_drawn > 1) {
    metrics_->inter_token_seconds.Observe(absl::ToDoubleSeconds(now_ - sequence.last_token));
  }
  sequence.last_token = now_;
}

void Committer::CountFinish(FinishReason reason) const {
  if (metrics_ == nullptr) return;
  (reason == FinishReason::kStop ? metrics_->finished_by_stop : metrics_->finished_by_length)
      .Increment();
}

void Committer::Finish(Sequence& sequence) const {
  sequence.finished = true;
  if (--sequence.request->unfinished_choices == 0) sequence.request->ended = absl::OkStatus();
}

}  // namespace skein
