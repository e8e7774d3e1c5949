#include "tools/skein-eval/sequence_runner.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/device/memory.h"
#include "kernels/linear/open_device.h"
#include "kernels/mix_logits/mix_logits.h"
#include "worker/models/registry.h"
#include "worker/weights/model_files.h"

namespace skein::eval {
namespace {

constexpr int kPageTokens = 16;

absl::StatusOr<std::unique_ptr<Device>> OpenDevice(const RunnerOptions& options) {
  if (options.backend == "cpu") return Device::Cpu(options.threads);
  if (options.backend == "cuda") return OpenGpu({});
  return absl::InvalidArgumentError(
      absl::StrCat("--backend \"", options.backend, "\", expected cpu or cuda"));
}

// For so many lists of so many tokens.
absl::StatusOr<std::unique_ptr<PagePool>> MakePages(const KvLayout& kv, int64_t lists,
                                                    int64_t max_tokens, const Stream& stream) {
  PagePool::Layout layout;
  layout.num_planes = 2 * kv.num_layers;
  layout.token_bytes = int64_t{kv.num_kv_heads} * kv.head_dim * DTypeBytes(kv.dtype);
  layout.page_tokens = kPageTokens;
  const int64_t num_pages = lists * ((max_tokens + kPageTokens - 1) / kPageTokens);
  return PagePool::Create(layout, num_pages * layout.num_planes * layout.page_bytes(), stream);
}

}  // namespace

std::vector<ctl::Option> RunnerOptionTable(RunnerOptions& out) {
  std::vector<ctl::Option> table = {
      ctl::TextOption("model", "PATH", "model folder or file", &out.model),
      ctl::TextOption("backend", "NAME", "cpu (default) or cuda", &out.backend),
      ctl::IntOption("chunk", "N", "tokens of one step (default 256)", 1, 65536,
                     [&out](int64_t value) { out.chunk = value; }),
      ctl::IntOption("threads", "N", "compute threads (default: one per core)", 1, 1024,
                     [&out](int64_t value) { out.threads = static_cast<int>(value); }),
      ctl::NumberOption("rope-theta", "X", "for .pth hybrids, which do not hold it", 1.0, 1e12,
                        [&out](double value) { out.rope_theta = static_cast<float>(value); }),
      ctl::NumberOption("rms-norm-eps", "X", "likewise", 0.0, 1.0,
                        [&out](double value) { out.rms_norm_eps = static_cast<float>(value); }),
  };
  for (ctl::Option& option : ConditionOptionTable(out.conditions)) {
    table.push_back(std::move(option));
  }
  return table;
}

absl::StatusOr<std::unique_ptr<SequenceRunner>> SequenceRunner::Create(const RunnerOptions& options,
                                                                       int64_t max_tokens) {
  if (options.model.empty()) return absl::InvalidArgumentError("--model is needed; see --help");
  std::unique_ptr<SequenceRunner> runner(new SequenceRunner(options.chunk));
  ASSIGN_OR_RETURN(runner->device_, OpenDevice(options));
  RETURN_IF_ERROR(runner->Load(options, max_tokens));
  return runner;
}

absl::Status SequenceRunner::Load(const RunnerOptions& options, int64_t max_tokens) {
  ASSIGN_OR_RETURN(const auto files, ModelFiles::Open(options.model));
  ModelLoadOptions load;
  load.max_rows = chunk_ * std::max<int64_t>(1, std::ssize(options.conditions.states));
  load.rope_theta = options.rope_theta;
  load.rms_norm_eps = options.rms_norm_eps;
  const Stream stream = device_->stream();
  ASSIGN_OR_RETURN(model_, LoadModel(*files, load, stream));
  ASSIGN_OR_RETURN(conditions_, LoadConditions(options.conditions, *files, *model_, stream));
  RETURN_IF_ERROR(MakeBranches(max_tokens));
  return Stage(max_tokens);
}

absl::Status SequenceRunner::MakeBranches(int64_t max_tokens) {
  const Stream stream = device_->stream();
  branches_.resize(conditions_.branches.size());
  ASSIGN_OR_RETURN(states_, StatePool::Create(model_->state_layout().bytes,
                                              static_cast<int>(num_branches()), stream));
  if (model_->kv_layout().num_layers > 0) {
    ASSIGN_OR_RETURN(pages_, MakePages(model_->kv_layout(), num_branches(), max_tokens, stream));
  }
  for (Branch& branch : branches_) {
    ASSIGN_OR_RETURN(branch.slot, states_->Allocate());
  }
  Reset();
  return absl::OkStatus();
}

absl::Status SequenceRunner::Stage(int64_t max_tokens) {
  const int64_t vocab = model_->description().vocab_size;
  const int64_t rows = num_branches() * chunk_;
  const int64_t num_pages = pages_ == nullptr ? 0 : num_branches() * pages_->PagesFor(max_tokens);
  size_t bytes = 0;
  for (const int64_t count : {rows, rows, rows, num_branches() + 1, num_branches(), num_pages,
                              rows * vocab, chunk_ + 1, rows, rows}) {
    bytes += Arena::Rounded(count * sizeof(int32_t)) + Arena::kAlignment;
  }
  ASSIGN_OR_RETURN(staged_.arena, CreateStaging(device_->stream(), bytes));
  Arena& arena = *staged_.arena;
  ASSIGN_OR_RETURN(staged_.tokens, arena.AllocateTensor<int32_t>({rows}));
  ASSIGN_OR_RETURN(staged_.positions, arena.AllocateTensor<int32_t>({rows}));
  ASSIGN_OR_RETURN(staged_.logit_rows, arena.AllocateTensor<int32_t>({rows}));
  ASSIGN_OR_RETURN(staged_.row_begin, arena.AllocateTensor<int32_t>({num_branches() + 1}));
  ASSIGN_OR_RETURN(staged_.slots, arena.AllocateTensor<int32_t>({num_branches()}));
  ASSIGN_OR_RETURN(staged_.pages, arena.AllocateTensor<int32_t>({num_pages}));
  ASSIGN_OR_RETURN(staged_.logits, arena.AllocateTensor<float>({rows, vocab}));
  ASSIGN_OR_RETURN(staged_.mix_begin, arena.AllocateTensor<int32_t>({chunk_ + 1}));
  ASSIGN_OR_RETURN(staged_.mix_rows, arena.AllocateTensor<int32_t>({rows}));
  ASSIGN_OR_RETURN(staged_.mix_weights, arena.AllocateTensor<float>({rows}));
  return absl::OkStatus();
}

void SequenceRunner::Reset() {
  for (size_t i = 0; i < branches_.size(); ++i) {
    const InitialState* const state = conditions_.branches[i].state.get();
    state != nullptr ? states_->Install(*state, branches_[i].slot)
                     : states_->Clear(branches_[i].slot);
    if (pages_ != nullptr) pages_->Release(branches_[i].pages);
  }
  seen_ = 0;
}

absl::Status SequenceRunner::Feed(
    std::span<const int32_t> tokens,
    const std::function<absl::Status(std::span<const float> logits)>& row) {
  const auto vocab = static_cast<size_t>(model_->description().vocab_size);
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || static_cast<size_t>(tokens[i]) >= vocab) {
      return absl::InvalidArgumentError(
          absl::StrCat("token ", i, " is ", tokens[i], ", the vocabulary has ", vocab));
    }
  }
  while (!tokens.empty()) {
    const size_t rows = std::min(tokens.size(), static_cast<size_t>(chunk_));
    RETURN_IF_ERROR(Step(tokens.first(rows)));
    for (size_t i = 0; i < rows; ++i) {
      RETURN_IF_ERROR(row({staged_.logits.data() + i * vocab, vocab}));
    }
    tokens = tokens.subspan(rows);
  }
  return absl::OkStatus();
}

absl::Status SequenceRunner::Step(std::span<const int32_t> tokens) {
  const auto rows = static_cast<int64_t>(tokens.size());
  const int64_t count = num_branches();
  const int64_t num_pages = pages_ == nullptr ? 0 : pages_->PagesFor(seen_ + rows);
  staged_.row_begin.data()[0] = 0;
  for (int64_t i = 0; i < count; ++i) {
    Branch& branch = branches_[i];
    if (pages_ != nullptr && !pages_->Extend(branch.pages, seen_ + rows)) {
      return absl::ResourceExhaustedError("the pages for keys and values are full");
    }
    const int64_t first = i * rows;
    std::copy(tokens.begin(), tokens.end(), staged_.tokens.data() + first);
    std::iota(staged_.positions.data() + first, staged_.positions.data() + first + rows,
              static_cast<int32_t>(seen_));
    staged_.row_begin.data()[i + 1] = static_cast<int32_t>(first + rows);
    staged_.slots.data()[i] = branch.slot;
    std::copy(branch.pages.begin(), branch.pages.end(), staged_.pages.data() + i * num_pages);
  }
  std::iota(staged_.logit_rows.data(), staged_.logit_rows.data() + count * rows, 0);
  ModelBatch batch;
  batch.tokens = {staged_.tokens.data(), {count * rows}};
  batch.positions = {staged_.positions.data(), {count * rows}};
  batch.row_begin = {staged_.row_begin.data(), {count + 1}};
  batch.slots = {staged_.slots.data(), {count}};
  batch.logit_rows = {staged_.logit_rows.data(), {count * rows}};
  batch.state.base = states_->base();
  if (pages_ != nullptr) {
    batch.pages = {staged_.pages.data(), {count, num_pages}};
    batch.kv = {pages_->base(), pages_->num_pages(), kPageTokens};
  }
  batch.logits = staged_.logits.Rows(0, count * rows);
  batch.max_rows = rows;
  std::vector<AdapterRows> adapters;
  for (const AppliedAdapter& one : conditions_.adapters) {
    adapters.push_back({one.adapter.get(), 0, count, one.scale});
  }
  batch.adapters = adapters;
  seen_ += rows;
  RETURN_IF_ERROR(model_->Forward(batch, device_->stream()));
  if (count > 1) RETURN_IF_ERROR(Mix(rows));
  return Synchronize(device_->stream());
}

absl::Status SequenceRunner::Mix(int64_t rows) {
  const int64_t count = num_branches();
  for (int64_t row = 0; row < rows; ++row) {
    staged_.mix_begin.data()[row] = static_cast<int32_t>(row * count);
    for (int64_t i = 0; i < count; ++i) {
      staged_.mix_rows.data()[row * count + i] = static_cast<int32_t>(i * rows + row);
      staged_.mix_weights.data()[row * count + i] = conditions_.branches[i].weight;
    }
  }
  staged_.mix_begin.data()[rows] = static_cast<int32_t>(rows * count);
  return MixLogits({staged_.logits.Rows(0, count * rows),
                    {staged_.mix_begin.data(), {rows + 1}},
                    {staged_.mix_rows.data(), {rows * count}},
                    {staged_.mix_weights.data(), {rows * count}}},
                   device_->stream());
}

}  // namespace skein::eval
