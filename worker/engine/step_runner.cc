#include "worker/engine/step_runner.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace skein {
namespace {

// Lists that no row fills are absent, whatever their buffer's address.
template <typename T>
TensorView<const T> ViewOf(const std::vector<T>& values) {
  if (values.empty()) return {};
  return {values.data(), {static_cast<int64_t>(values.size())}};
}

template <typename T>
TensorView<T> ViewOf(std::vector<T>& values, int64_t rows, int64_t columns) {
  return {values.data(), {rows, columns}};
}

}  // namespace

absl::StatusOr<std::unique_ptr<StepRunner>> StepRunner::Create(Model* model,
                                                               const StatePool* states,
                                                               const PagePool* pages,
                                                               const Stream& stream,
                                                               int64_t max_outputs) {
  std::unique_ptr<StepRunner> runner(new StepRunner(model, states, pages, stream));
  const int64_t vocab = model->description().vocab_size;
  ASSIGN_OR_RETURN(runner->arena_, Arena::Create(max_outputs * vocab * sizeof(float)));
  ASSIGN_OR_RETURN(runner->logits_, runner->arena_->AllocateTensor<float>({max_outputs, vocab}));
  return runner;
}

absl::StatusOr<const StepResult*> StepRunner::Run(const BatchPlan& plan) {
  SKEIN_CHECK(plan.num_rows() > 0 && plan.num_model_outputs() <= logits_.dim(0));
  RETURN_IF_ERROR(Forward(plan));
  if (plan.num_outputs() > 0) RETURN_IF_ERROR(SampleOutputs(plan));
  return &result_;
}

absl::Status StepRunner::Forward(const BatchPlan& plan) {
  ModelBatch batch;
  batch.tokens = ViewOf(plan.tokens);
  batch.positions = ViewOf(plan.positions);
  batch.row_begin = ViewOf(plan.row_begin);
  batch.slots = ViewOf(plan.slots);
  if (plan.max_pages > 0) {
    batch.pages = {plan.pages.data(), {static_cast<int64_t>(plan.slots.size()), plan.max_pages}};
  }
  const int64_t num_outputs = plan.num_model_outputs();
  batch.logit_rows = {plan.logit_rows.data(), {num_outputs}};
  batch.state = {.base = states_.base()};
  batch.kv = {.base = pages_.base(),
              .num_pages = pages_.num_pages(),
              .page_tokens = pages_.layout().page_tokens};
  batch.logits = logits_.Rows(0, num_outputs);
  batch.max_rows = plan.max_rows;
  return model_.Forward(batch, stream_);
}

absl::Status StepRunner::SampleOutputs(const BatchPlan& plan) {
  const int64_t num_outputs = plan.num_outputs();
  result_.tokens.resize(num_outputs);
  result_.outcomes.resize(num_outputs);
  result_.logprobs.resize(num_outputs);
  result_.top_tokens.resize(num_outputs * kMaxTopLogprobs);
  result_.top_logprobs.resize(num_outputs * kMaxTopLogprobs);
  SampleArgs args;
  args.logits = logits_.Rows(0, plan.num_model_outputs());
  args.logits_row = ViewOf(plan.sampled_from);
  args.rows = ViewOf(plan.samples);
  args.penalty_begin = ViewOf(plan.penalty_begin);
  args.penalties = ViewOf(plan.penalties);
  args.bias_begin = ViewOf(plan.bias_begin);
  args.biases = ViewOf(plan.biases);
  args.banned_begin = ViewOf(plan.banned_begin);
  args.banned = ViewOf(plan.banned);
  if (!plan.masks.empty()) {
    const int64_t num_masks = static_cast<int64_t>(plan.masks.size()) / plan.mask_words;
    args.masks = {plan.masks.data(), {num_masks, plan.mask_words}};
  }
  args.tokens = {result_.tokens.data(), {num_outputs}};
  args.outcomes = {result_.outcomes.data(), {num_outputs}};
  args.logprobs = {result_.logprobs.data(), {num_outputs}};
  args.top_tokens = ViewOf(result_.top_tokens, num_outputs, kMaxTopLogprobs);
  args.top_logprobs = ViewOf(result_.top_logprobs, num_outputs, kMaxTopLogprobs);
  return Sample(args, stream_);
}

}  // namespace skein
