#include "worker/engine/step_runner.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "kernels/device/cuda_context.h"
#include "kernels/linear/product_group.h"

namespace skein {
namespace {

constexpr int64_t kBuckets[] = {1,   2,   3,   4,   6,   8,   12,  16,  24,  32,
                                48,  64,  80,  96,  112, 128, 160, 192, 224, 256,
                                320, 384, 448, 512, 640, 768, 896, 960, 1024};

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

ModelBatch BatchOf(const BatchPlan& plan) {
  ModelBatch batch;
  batch.tokens = ViewOf(plan.tokens);
  batch.positions = ViewOf(plan.positions);
  batch.row_begin = ViewOf(plan.row_begin);
  batch.slots = ViewOf(plan.slots);
  if (plan.max_pages > 0) {
    batch.pages = {plan.pages.data(), {static_cast<int64_t>(plan.slots.size()), plan.max_pages}};
  }
  batch.logit_rows = {plan.logit_rows.data(), {static_cast<int64_t>(plan.logit_rows.size())}};
  batch.max_rows = plan.max_rows;
  batch.adapters = plan.adapters;
  batch.factors = plan.factors;
  return batch;
}

MixLogitsArgs MixingOf(const BatchPlan& plan) {
  MixLogitsArgs args;
  args.group_begin = ViewOf(plan.mix_begin);
  args.rows = ViewOf(plan.mix_rows);
  args.weights = ViewOf(plan.mix_weights);
  return args;
}

SampleArgs SamplingOf(const BatchPlan& plan, StepResult& result) {
  const int64_t num_outputs = plan.num_outputs();
  SampleArgs args;
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
  args.tokens = {result.tokens.data(), {num_outputs}};
  args.outcomes = {result.outcomes.data(), {num_outputs}};
  args.logprobs = {result.logprobs.data(), {num_outputs}};
  args.top_tokens = ViewOf(result.top_tokens, num_outputs, kMaxTopLogprobs);
  args.top_logprobs = ViewOf(result.top_logprobs, num_outputs, kMaxTopLogprobs);
  return args;
}

// Steps of sequences that are nobody's, with the page table of one page if there is one. The decode
// is filled up to its size when it is staged.
BatchPlan NobodysDecode(bool paged) {
  BatchPlan plan;
  plan.row_begin = plan.penalty_begin = plan.bias_begin = plan.banned_begin = {0};
  plan.max_rows = 1;
  plan.max_pages = paged ? 1 : 0;
  return plan;
}

BatchPlan NobodysPrompt(int64_t rows, bool paged) {
  BatchPlan plan = NobodysDecode(paged);
  plan.tokens.resize(rows);
  plan.positions.resize(rows);
  plan.row_begin.push_back(static_cast<int32_t>(rows));
  plan.slots = {-1};
  plan.pages.resize(plan.max_pages);
  plan.max_rows = rows;
  plan.logit_rows = {static_cast<int32_t>(rows - 1)};
  plan.sampled_from = {0};
  plan.samples = {{.padding = true}};
  plan.penalty_begin = plan.bias_begin = plan.banned_begin = {0, 0};
  return plan;
}

}  // namespace

int64_t StepRunner::Bucket(int64_t sequences) {
  const auto bucket = std::lower_bound(std::begin(kBuckets), std::end(kBuckets), sequences);
  return bucket == std::end(kBuckets) ? sequences : *bucket;
}

absl::StatusOr<std::unique_ptr<StepRunner>> StepRunner::Create(Model* model,
                                                               const StatePool* states,
                                                               const PagePool* pages,
                                                               const Stream& stream,
                                                               const Limits& limits) {
  std::unique_ptr<StepRunner> runner(new StepRunner(model, states, pages, stream, limits));
  const int64_t vocab = model->description().vocab_size;
  ASSIGN_OR_RETURN(runner->arena_, CreateArena(stream, limits.max_outputs * vocab * sizeof(float)));
  ASSIGN_OR_RETURN(runner->logits_,
                   runner->arena_->AllocateTensor<float>({limits.max_outputs, vocab}));
  if (!stream.on_cpu()) {
    ASSIGN_OR_RETURN(
        runner->buffers_,
        StepBuffers::Create({limits.max_rows, limits.max_sequences, limits.max_outputs}, stream));
  }
  return runner;
}

absl::StatusOr<const StepResult*> StepRunner::Run(const BatchPlan& plan,
                                                  absl::FunctionRef<void()> meanwhile) {
  SKEIN_CHECK(plan.num_rows() > 0 && plan.num_outputs() <= limits_.max_outputs &&
              plan.num_model_outputs() <= limits_.max_outputs);
  ResizeResult(plan.num_outputs());
  if (stream_.on_cpu()) {
    meanwhile();
    RETURN_IF_ERROR(RunOnCpu(plan));
  } else {
    RETURN_IF_ERROR(RunOnCuda(plan, meanwhile));
  }
  return &result_;
}

absl::Status StepRunner::RunOnCpu(const BatchPlan& plan) {
  RETURN_IF_ERROR(Forward(BatchOf(plan)));
  if (plan.num_outputs() == 0) return absl::OkStatus();
  if (plan.num_mixed() > 0) RETURN_IF_ERROR(Mix(MixingOf(plan), plan.num_model_outputs()));
  return SampleOutputs(SamplingOf(plan, result_), plan.num_model_outputs());
}

absl::Status StepRunner::RunOnCuda(const BatchPlan& plan, absl::FunctionRef<void()> meanwhile) {
  SKEIN_CHECK(plan.adapters.empty());  // models bind none on CUDA
  const int64_t sequences = static_cast<int64_t>(plan.slots.size());
  const int64_t bucket = Bucket(sequences);
  const bool replayed =
      IsDecode(plan) && bucket <= std::min(limits_.max_sequences, limits_.max_rows);
  ASSIGN_OR_RETURN(const bool moved, buffers_->Stage(plan, replayed ? bucket : 0));
  if (moved) graphs_.clear();
  RETURN_IF_ERROR(replayed
                      ? Replay({bucket, buffers_->pages_per_sequence(), buffers_->num_mixed() > 0})
                      : Enqueue());
  RETURN_IF_ERROR(buffers_->Fetch());
  meanwhile();
  RETURN_IF_ERROR(Synchronize(stream_));
  const int64_t outputs = plan.num_outputs();
  std::copy_n(buffers_->tokens(), outputs, result_.tokens.begin());
  std::copy_n(buffers_->outcomes(), outputs, result_.outcomes.begin());
  std::copy_n(buffers_->logprobs(), outputs, result_.logprobs.begin());
  std::copy_n(buffers_->top_tokens(), outputs * kMaxTopLogprobs, result_.top_tokens.begin());
  std::copy_n(buffers_->top_logprobs(), outputs * kMaxTopLogprobs, result_.top_logprobs.begin());
  return absl::OkStatus();
}

// One output of the model for each sequence, and no more draws than that.
bool StepRunner::IsDecode(const BatchPlan& plan) {
  const int64_t sequences = static_cast<int64_t>(plan.slots.size());
  return plan.max_rows == 1 && plan.num_model_outputs() == sequences &&
         plan.num_outputs() <= sequences;
}

absl::Status StepRunner::Replay(const GraphKey& key) {
  const auto found = graphs_.find(key);
  if (found == graphs_.end()) {
    graphs_.emplace(key, nullptr);
    return Enqueue();
  }
  std::unique_ptr<Graph>& graph = found->second;
  if (graph == nullptr) {
    ASSIGN_OR_RETURN(graph, Capture(stream_, [&] { return Enqueue(); }));
  }
  return graph->Launch(stream_);
}

absl::Status StepRunner::RunTuning(const BatchPlan& plan, int64_t decodes) {
  RETURN_IF_ERROR(buffers_->Stage(plan, decodes).status());
  stream_.cuda().tuning = true;
  const absl::Status enqueued = Enqueue();
  stream_.cuda().tuning = false;
  RETURN_IF_ERROR(enqueued);
  return Synchronize(stream_);
}

absl::Status StepRunner::WarmUpDecode(int64_t sequences) {
  if (stream_.on_cpu()) return absl::OkStatus();
  const bool paged = model_.kv_layout().num_layers > 0;
  const BatchPlan plan = NobodysDecode(paged);
  const int64_t bucket = Bucket(sequences);
  RETURN_IF_ERROR(RunTuning(plan, bucket));
  if (paged) return absl::OkStatus();  // recorded with as many pages as they will have
  const GraphKey key = {bucket, 0, false};
  ASSIGN_OR_RETURN(graphs_[key], Capture(stream_, [&] { return Enqueue(); }));
  return absl::OkStatus();
}

absl::Status StepRunner::WarmUpPrompt(int64_t rows) {
  if (stream_.on_cpu()) return absl::OkStatus();
  return RunTuning(NobodysPrompt(rows, model_.kv_layout().num_layers > 0), 0);
}

absl::Status StepRunner::WarmUp(absl::FunctionRef<void()> on_step) {
  if (stream_.on_cpu()) return absl::OkStatus();
  const absl::Time start = absl::Now();
  int steps = 0;
  for (const int64_t bucket : kBuckets) {
    if (bucket > std::min(limits_.max_sequences, limits_.max_rows)) break;
    RETURN_IF_ERROR(WarmUpDecode(bucket));
    ++steps;
    on_step();
  }
  for (int64_t rows = 1; rows <= limits_.max_rows; rows = RowBucket(rows) + 1) {
    RETURN_IF_ERROR(WarmUpPrompt(std::min(RowBucket(rows), limits_.max_rows)));
    ++steps;
    on_step();
  }
  const CudaContext& cuda = stream_.cuda();
  LogInfo("steps made ready",
          {{"steps", absl::StrCat(steps)},
           {"seconds", absl::StrFormat("%.2f", absl::ToDoubleSeconds(absl::Now() - start))},
           {"products_measured", absl::StrCat(cuda.tuned_products)},
           {"measuring_seconds", absl::StrFormat("%.2f", cuda.tuning_seconds)}});
  return absl::OkStatus();
}

absl::Status StepRunner::Enqueue() {
  RETURN_IF_ERROR(Forward(buffers_->Batch()));
  if (buffers_->num_outputs() == 0) return absl::OkStatus();
  if (buffers_->num_mixed() > 0) {
    RETURN_IF_ERROR(Mix(buffers_->Mixing(), buffers_->num_model_outputs()));
  }
  return SampleOutputs(buffers_->Sampling(), buffers_->num_model_outputs());
}

absl::Status StepRunner::Forward(ModelBatch batch) {
  batch.state = {.base = states_.base()};
  batch.kv = {.base = pages_.base(),
              .num_pages = pages_.num_pages(),
              .page_tokens = pages_.layout().page_tokens};
  batch.logits = logits_.Rows(0, batch.logit_rows.dim(0));
  return model_.Forward(batch, stream_);
}

absl::Status StepRunner::Mix(MixLogitsArgs args, int64_t num_model_outputs) {
  args.logits = logits_.Rows(0, num_model_outputs);
  return MixLogits(args, stream_);
}

absl::Status StepRunner::SampleOutputs(SampleArgs args, int64_t num_model_outputs) {
  args.logits = logits_.Rows(0, num_model_outputs);
  return Sample(args, stream_);
}

void StepRunner::ResizeResult(int64_t num_outputs) {
  result_.tokens.resize(num_outputs);
  result_.outcomes.resize(num_outputs);
  result_.logprobs.resize(num_outputs);
  result_.top_tokens.resize(num_outputs * kMaxTopLogprobs);
  result_.top_logprobs.resize(num_outputs * kMaxTopLogprobs);
}

}  // namespace skein
