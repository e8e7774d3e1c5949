#include "tools/skein-eval/sequence_runner.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/device/memory.h"
#include "kernels/linear/open_device.h"
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

absl::StatusOr<std::unique_ptr<PagePool>> MakePages(const KvLayout& kv, int64_t max_tokens,
                                                    const Stream& stream) {
  PagePool::Layout layout;
  layout.num_planes = 2 * kv.num_layers;
  layout.token_bytes = int64_t{kv.num_kv_heads} * kv.head_dim * DTypeBytes(kv.dtype);
  layout.page_tokens = kPageTokens;
  const int64_t num_pages = (max_tokens + kPageTokens - 1) / kPageTokens;
  return PagePool::Create(layout, num_pages * layout.num_planes * layout.page_bytes(), stream);
}

}  // namespace

std::vector<ctl::Option> RunnerOptionTable(RunnerOptions& out) {
  return {
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
      ctl::TextOption("state", "FILE[:LAYOUT]",
                      "tuned state to start from; LAYOUT is vk, kv or auto (default)", &out.state),
  };
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
  load.max_rows = chunk_;
  load.rope_theta = options.rope_theta;
  load.rms_norm_eps = options.rms_norm_eps;
  const Stream stream = device_->stream();
  ASSIGN_OR_RETURN(model_, LoadModel(*files, load, stream));
  ASSIGN_OR_RETURN(states_, StatePool::Create(model_->state_layout().bytes, 1, stream));
  ASSIGN_OR_RETURN(slot_, states_->Allocate());
  if (!options.state.empty()) RETURN_IF_ERROR(LoadState(options.state));
  if (model_->kv_layout().num_layers > 0) {
    ASSIGN_OR_RETURN(pages_, MakePages(model_->kv_layout(), max_tokens, stream));
  }
  return Stage(max_tokens);
}

absl::Status SequenceRunner::LoadState(const std::string& state) {
  std::string path = state;
  TunedStateLayout layout = TunedStateLayout::kAutomatic;
  // What follows a colon may also be part of the file's name.
  const size_t colon = state.rfind(':');
  if (colon != std::string::npos) {
    const auto named = ParseTunedStateLayout(state.substr(colon + 1));
    if (named.ok()) {
      layout = *named;
      path.resize(colon);
    }
  }
  ASSIGN_OR_RETURN(tuned_, LoadTunedState(path, layout, model_->description(),
                                          model_->state_layout(), device_->stream()));
  states_->Install(*tuned_->state, slot_);
  return absl::OkStatus();
}

std::string SequenceRunner::DescribeState() const {
  if (!tuned_.has_value()) return "";
  std::string text = absl::StrCat("state ", tuned_->state->content_hash, ", ",
                                  TunedStateLayoutName(tuned_->layout), "\n");
  for (const std::string& warning : tuned_->warnings) {
    absl::StrAppend(&text, "state: ", warning, "\n");
  }
  return text;
}

absl::Status SequenceRunner::Stage(int64_t max_tokens) {
  const int64_t vocab = model_->description().vocab_size;
  const int64_t num_pages = pages_ == nullptr ? 0 : pages_->PagesFor(max_tokens);
  const size_t bytes = 3 * Arena::Rounded(chunk_ * sizeof(int32_t)) +
                       Arena::Rounded(num_pages * sizeof(int32_t)) +
                       Arena::Rounded(chunk_ * vocab * sizeof(float)) + 2 * Arena::kAlignment;
  ASSIGN_OR_RETURN(staged_.arena, CreateStaging(device_->stream(), bytes));
  Arena& arena = *staged_.arena;
  ASSIGN_OR_RETURN(staged_.tokens, arena.AllocateTensor<int32_t>({chunk_}));
  ASSIGN_OR_RETURN(staged_.positions, arena.AllocateTensor<int32_t>({chunk_}));
  ASSIGN_OR_RETURN(staged_.logit_rows, arena.AllocateTensor<int32_t>({chunk_}));
  ASSIGN_OR_RETURN(staged_.row_begin, arena.AllocateTensor<int32_t>({2}));
  ASSIGN_OR_RETURN(staged_.slot, arena.AllocateTensor<int32_t>({1}));
  ASSIGN_OR_RETURN(staged_.pages, arena.AllocateTensor<int32_t>({num_pages}));
  ASSIGN_OR_RETURN(staged_.logits, arena.AllocateTensor<float>({chunk_, vocab}));
  return absl::OkStatus();
}

void SequenceRunner::Reset() {
  tuned_.has_value() ? states_->Install(*tuned_->state, slot_) : states_->Clear(slot_);
  if (pages_ != nullptr) pages_->Release(page_list_);
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
    for (size_t i = 0; i < rows; ++i)
      RETURN_IF_ERROR(row({staged_.logits.data() + i * vocab, vocab}));
    tokens = tokens.subspan(rows);
  }
  return absl::OkStatus();
}

absl::Status SequenceRunner::Step(std::span<const int32_t> tokens) {
  const auto rows = static_cast<int64_t>(tokens.size());
  if (pages_ != nullptr && !pages_->Extend(page_list_, seen_ + rows)) {
    return absl::ResourceExhaustedError("the pages for keys and values are full");
  }
  std::copy(tokens.begin(), tokens.end(), staged_.tokens.data());
  std::iota(staged_.positions.data(), staged_.positions.data() + rows, static_cast<int32_t>(seen_));
  std::iota(staged_.logit_rows.data(), staged_.logit_rows.data() + rows, 0);
  staged_.row_begin.data()[0] = 0;
  staged_.row_begin.data()[1] = static_cast<int32_t>(rows);
  staged_.slot.data()[0] = slot_;
  std::copy(page_list_.begin(), page_list_.end(), staged_.pages.data());
  ModelBatch batch;
  batch.tokens = {staged_.tokens.data(), {rows}};
  batch.positions = {staged_.positions.data(), {rows}};
  batch.row_begin = {staged_.row_begin.data(), {2}};
  batch.slots = {staged_.slot.data(), {1}};
  batch.logit_rows = {staged_.logit_rows.data(), {rows}};
  batch.state.base = states_->base();
  if (pages_ != nullptr) {
    batch.pages = {staged_.pages.data(), {1, static_cast<int64_t>(page_list_.size())}};
    batch.kv = {pages_->base(), pages_->num_pages(), kPageTokens};
  }
  batch.logits = staged_.logits.Rows(0, rows);
  batch.max_rows = rows;
  seen_ += rows;
  RETURN_IF_ERROR(model_->Forward(batch, device_->stream()));
  return Synchronize(device_->stream());
}

}  // namespace skein::eval
