#include "worker/engine/step_buffers.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "kernels/device/memory.h"

namespace skein {
namespace {

template <typename T>
void CopyTo(T* to, const std::vector<T>& values) {
  std::copy(values.begin(), values.end(), to);
}

template <typename T>
int64_t Bytes(const std::vector<T>& values) {
  return static_cast<int64_t>(values.size() * sizeof(T));
}

}  // namespace

absl::StatusOr<std::unique_ptr<StepBuffers>> StepBuffers::Create(const StepCapacity& capacity,
                                                                 const Stream& stream) {
  std::unique_ptr<StepBuffers> buffers(new StepBuffers(capacity, stream));
  buffers->Lay();
  RETURN_IF_ERROR(buffers->Allocate());
  return buffers;
}

int64_t StepBuffers::Place(int64_t bytes) {
  const int64_t at = next_;
  next_ += static_cast<int64_t>(Arena::Rounded(static_cast<size_t>(bytes)));
  return at;
}

void StepBuffers::Lay() {
  constexpr int64_t kInt = sizeof(int32_t);
  const int64_t outputs = capacity_.outputs;
  tokens_at_ = Place(capacity_.rows * kInt);
  positions_at_ = Place(capacity_.rows * kInt);
  row_begin_at_ = Place((capacity_.sequences + 1) * kInt);
  slots_at_ = Place(capacity_.sequences * kInt);
  logit_rows_at_ = Place(outputs * kInt);
  sampled_from_at_ = Place(outputs * kInt);
  samples_at_ = Place(outputs * static_cast<int64_t>(sizeof(SampleRow)));
  penalty_begin_at_ = Place((outputs + 1) * kInt);
  bias_begin_at_ = Place((outputs + 1) * kInt);
  banned_begin_at_ = Place((outputs + 1) * kInt);
  mix_begin_at_ = Place((outputs + 1) * kInt);
  mix_rows_at_ = Place(outputs * kInt);
  mix_weights_at_ = Place(outputs * static_cast<int64_t>(sizeof(float)));
  inputs_end_ = next_;
  results_at_ = Place(outputs * kInt);
  outcomes_at_ = Place(outputs * kInt);
  logprobs_at_ = Place(outputs * kInt);
  top_tokens_at_ = Place(outputs * kMaxTopLogprobs * kInt);
  top_logprobs_at_ = Place(outputs * kMaxTopLogprobs * kInt);
  results_end_ = next_;
}

absl::Status StepBuffers::Allocate() {
  ASSIGN_OR_RETURN(host_, CreateStaging(stream_, next_));
  ASSIGN_OR_RETURN(device_, CreateArena(stream_, next_));
  std::memset(host_->data(), 0, next_);
  return Copy(stream_, device_->data(), host_->data(), next_);
}

absl::Status StepBuffers::StageList(int list, const void* data, int64_t bytes, bool& moved) {
  List& to = lists_[list];
  to.size = bytes;
  if (bytes == 0) return absl::OkStatus();
  if (to.device == nullptr || bytes > static_cast<int64_t>(to.device->bytes())) {
    constexpr size_t kLeast = 16384;
    const size_t room = std::bit_ceil(std::max(static_cast<size_t>(bytes), kLeast));
    ASSIGN_OR_RETURN(to.host, CreateStaging(stream_, room));
    ASSIGN_OR_RETURN(to.device, CreateArena(stream_, room));
    moved = true;
  }
  std::memcpy(to.host->data(), data, bytes);
  return Copy(stream_, to.device->data(), to.host->data(), bytes);
}

absl::StatusOr<bool> StepBuffers::Stage(const BatchPlan& plan, int64_t decodes) {
  const int64_t more = std::max<int64_t>(decodes - static_cast<int64_t>(plan.slots.size()), 0);
  rows_ = plan.num_rows() + more;
  sequences_ = static_cast<int64_t>(plan.slots.size()) + more;
  max_rows_ = plan.max_rows;
  model_outputs_ = plan.num_model_outputs() + more;
  outputs_ = decodes > 0 ? decodes : plan.num_outputs();
  const bool filled = decodes > 0 && plan.num_mixed() > 0;
  mixed_ = filled ? decodes : plan.num_mixed();
  mix_terms_ = filled ? decodes : static_cast<int64_t>(plan.mix_rows.size());
  SKEIN_CHECK(rows_ <= capacity_.rows && sequences_ <= capacity_.sequences &&
              model_outputs_ <= capacity_.outputs && outputs_ <= capacity_.outputs);
  SKEIN_CHECK(plan.num_outputs() <= outputs_ && plan.num_mixed() <= mixed_ &&
              static_cast<int64_t>(plan.mix_rows.size()) <= mix_terms_);
  SKEIN_CHECK(plan.sampled_from.size() == plan.samples.size());
  Write(plan);
  FillSequences(plan);
  FillOutputs(plan);
  tops_wanted_ = std::any_of(plan.samples.begin(), plan.samples.end(),
                             [](const SampleRow& row) { return row.num_top > 0; });
  mask_words_ = plan.mask_words;
  bool moved = false;
  RETURN_IF_ERROR(
      Copy(stream_, device_->data(), host_->data(), mixed_ > 0 ? inputs_end_ : mix_begin_at_));
  RETURN_IF_ERROR(StageList(kPenalties, plan.penalties.data(), Bytes(plan.penalties), moved));
  RETURN_IF_ERROR(StageList(kBiases, plan.biases.data(), Bytes(plan.biases), moved));
  RETURN_IF_ERROR(StageList(kBanned, plan.banned.data(), Bytes(plan.banned), moved));
  RETURN_IF_ERROR(StageList(kMasks, plan.masks.data(), Bytes(plan.masks), moved));
  RETURN_IF_ERROR(StagePages(plan, moved));
  return moved;
}

void StepBuffers::Write(const BatchPlan& plan) {
  CopyTo(Host<int32_t>(tokens_at_), plan.tokens);
  CopyTo(Host<int32_t>(positions_at_), plan.positions);
  CopyTo(Host<int32_t>(row_begin_at_), plan.row_begin);
  CopyTo(Host<int32_t>(slots_at_), plan.slots);
  CopyTo(Host<int32_t>(logit_rows_at_), plan.logit_rows);
  CopyTo(Host<int32_t>(sampled_from_at_), plan.sampled_from);
  CopyTo(Host<SampleRow>(samples_at_), plan.samples);
  CopyTo(Host<int32_t>(penalty_begin_at_), plan.penalty_begin);
  CopyTo(Host<int32_t>(bias_begin_at_), plan.bias_begin);
  CopyTo(Host<int32_t>(banned_begin_at_), plan.banned_begin);
  CopyTo(Host<int32_t>(mix_begin_at_), plan.mix_begin);
  CopyTo(Host<int32_t>(mix_rows_at_), plan.mix_rows);
  CopyTo(Host<float>(mix_weights_at_), plan.mix_weights);
}

void StepBuffers::FillSequences(const BatchPlan& plan) {
  const int64_t real = static_cast<int64_t>(plan.slots.size());
  for (int64_t s = real; s < sequences_; ++s) {
    const int64_t row = plan.num_rows() + s - real;
    Host<int32_t>(tokens_at_)[row] = 0;
    Host<int32_t>(positions_at_)[row] = 0;
    Host<int32_t>(row_begin_at_)[s + 1] = static_cast<int32_t>(row + 1);
    Host<int32_t>(slots_at_)[s] = -1;
    Host<int32_t>(logit_rows_at_)[plan.num_model_outputs() + s - real] = static_cast<int32_t>(row);
  }
}

void StepBuffers::FillOutputs(const BatchPlan& plan) {
  for (int64_t output = plan.num_outputs(); output < outputs_; ++output) {
    Host<SampleRow>(samples_at_)[output] = {.padding = true};
    Host<int32_t>(sampled_from_at_)[output] = 0;
    for (const int64_t at : {penalty_begin_at_, bias_begin_at_, banned_begin_at_}) {
      Host<int32_t>(at)[output + 1] = Host<int32_t>(at)[plan.num_outputs()];
    }
  }
  for (int64_t group = plan.num_mixed(); group < mixed_; ++group) {
    Host<int32_t>(mix_begin_at_)[group + 1] = Host<int32_t>(mix_begin_at_)[plan.num_mixed()];
  }
}

absl::Status StepBuffers::StagePages(const BatchPlan& plan, bool& moved) {
  // A power of two, so that a recorded step serves sequences of many lengths.
  pages_per_sequence_ =
      plan.max_pages == 0
          ? 0
          : static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(plan.max_pages)));
  std::vector<int32_t> pages(sequences_ * pages_per_sequence_);
  const int64_t real = static_cast<int64_t>(plan.slots.size());
  for (int64_t s = 0; s < real && plan.max_pages > 0; ++s) {
    std::copy_n(plan.pages.begin() + s * plan.max_pages, plan.max_pages,
                pages.begin() + s * pages_per_sequence_);
  }
  return StageList(kPages, pages.data(), Bytes(pages), moved);
}

ModelBatch StepBuffers::Batch() const {
  ModelBatch batch;
  batch.tokens = {On<const int32_t>(tokens_at_), {rows_}};
  batch.positions = {On<const int32_t>(positions_at_), {rows_}};
  batch.row_begin = {On<const int32_t>(row_begin_at_), {sequences_ + 1}};
  batch.slots = {On<const int32_t>(slots_at_), {sequences_}};
  if (pages_per_sequence_ > 0) {
    batch.pages = {static_cast<const int32_t*>(lists_[kPages].device->data()),
                   {sequences_, pages_per_sequence_}};
  }
  batch.logit_rows = {On<const int32_t>(logit_rows_at_), {model_outputs_}};
  batch.max_rows = max_rows_;
  return batch;
}

MixLogitsArgs StepBuffers::Mixing() const {
  MixLogitsArgs args;
  args.group_begin = {On<const int32_t>(mix_begin_at_), {mixed_ + 1}};
  args.rows = {On<const int32_t>(mix_rows_at_), {mix_terms_}};
  args.weights = {On<const float>(mix_weights_at_), {mix_terms_}};
  return args;
}

SampleArgs StepBuffers::Sampling() const {
  SampleArgs args;
  args.logits_row = {On<const int32_t>(sampled_from_at_), {outputs_}};
  args.rows = {On<const SampleRow>(samples_at_), {outputs_}};
  args.penalty_begin = {On<const int32_t>(penalty_begin_at_), {outputs_ + 1}};
  args.penalties = ListView<PenaltyEntry>(kPenalties);
  args.bias_begin = {On<const int32_t>(bias_begin_at_), {outputs_ + 1}};
  args.biases = ListView<BiasEntry>(kBiases);
  args.banned_begin = {On<const int32_t>(banned_begin_at_), {outputs_ + 1}};
  args.banned = ListView<int32_t>(kBanned);
  if (lists_[kMasks].device != nullptr) {
    const int64_t words = static_cast<int64_t>(lists_[kMasks].device->bytes() / sizeof(uint32_t));
    args.masks = {static_cast<const uint32_t*>(lists_[kMasks].device->data()),
                  {words / mask_words_, mask_words_}};
  }
  args.tokens = {On<int32_t>(results_at_), {outputs_}};
  args.outcomes = {On<SampleOutcome>(outcomes_at_), {outputs_}};
  args.logprobs = {On<float>(logprobs_at_), {outputs_}};
  args.top_tokens = {On<int32_t>(top_tokens_at_), {outputs_, kMaxTopLogprobs}};
  args.top_logprobs = {On<float>(top_logprobs_at_), {outputs_, kMaxTopLogprobs}};
  return args;
}

absl::Status StepBuffers::Fetch() {
  const int64_t end = tops_wanted_ ? results_end_ : top_tokens_at_;
  return Copy(stream_, Host<std::byte>(results_at_), On<std::byte>(results_at_), end - results_at_);
}

}  // namespace skein
