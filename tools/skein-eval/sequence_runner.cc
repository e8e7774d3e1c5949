#include "tools/skein-eval/sequence_runner.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/device/stream.h"
#include "worker/models/registry.h"
#include "worker/weights/model_files.h"

namespace skein::eval {
namespace {

constexpr int kPageTokens = 16;

absl::Status CheckOptions(const RunnerOptions& options) {
  if (options.model.empty()) return absl::InvalidArgumentError("--model is needed; see --help");
  if (options.backend == "cuda") {
    return absl::UnimplementedError("--backend cuda: this build has the CPU backend only");
  }
  if (options.backend != "cpu") {
    return absl::InvalidArgumentError(
        absl::StrCat("--backend \"", options.backend, "\", expected cpu or cuda"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<PagePool>> MakePages(const KvLayout& kv, int64_t max_tokens) {
  PagePool::Layout layout;
  layout.num_planes = 2 * kv.num_layers;
  layout.token_bytes = int64_t{kv.num_kv_heads} * kv.head_dim * DTypeBytes(kv.dtype);
  layout.page_tokens = kPageTokens;
  const int64_t num_pages = (max_tokens + kPageTokens - 1) / kPageTokens;
  return PagePool::Create(layout, num_pages * layout.num_planes * layout.page_bytes());
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
  };
}

absl::StatusOr<std::unique_ptr<SequenceRunner>> SequenceRunner::Create(const RunnerOptions& options,
                                                                       int64_t max_tokens) {
  RETURN_IF_ERROR(CheckOptions(options));
  std::unique_ptr<SequenceRunner> runner(new SequenceRunner(options));
  RETURN_IF_ERROR(runner->Load(options, max_tokens));
  return runner;
}

absl::Status SequenceRunner::Load(const RunnerOptions& options, int64_t max_tokens) {
  ASSIGN_OR_RETURN(const auto files, ModelFiles::Open(options.model));
  ModelLoadOptions load;
  load.max_rows = chunk_;
  load.rope_theta = options.rope_theta;
  load.rms_norm_eps = options.rms_norm_eps;
  ASSIGN_OR_RETURN(model_, LoadModel(*files, load, Stream(threads_)));
  ASSIGN_OR_RETURN(states_, StatePool::Create(model_->state_layout().bytes, 1));
  ASSIGN_OR_RETURN(slot_, states_->Allocate());
  if (model_->kv_layout().num_layers > 0) {
    ASSIGN_OR_RETURN(pages_, MakePages(model_->kv_layout(), max_tokens));
  }
  logits_.resize(chunk_ * model_->description().vocab_size);
  return absl::OkStatus();
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
    for (size_t i = 0; i < rows; ++i) RETURN_IF_ERROR(row({logits_.data() + i * vocab, vocab}));
    tokens = tokens.subspan(rows);
  }
  return absl::OkStatus();
}

absl::Status SequenceRunner::Step(std::span<const int32_t> tokens) {
  const auto rows = static_cast<int64_t>(tokens.size());
  if (pages_ != nullptr && !pages_->Extend(page_list_, seen_ + rows)) {
    return absl::ResourceExhaustedError("the pages for keys and values are full");
  }
  std::vector<int32_t> positions(rows), logit_rows(rows);
  std::iota(positions.begin(), positions.end(), static_cast<int32_t>(seen_));
  std::iota(logit_rows.begin(), logit_rows.end(), 0);
  const int32_t row_begin[] = {0, static_cast<int32_t>(rows)};
  ModelBatch batch;
  batch.tokens = {tokens.data(), {rows}};
  batch.positions = {positions.data(), {rows}};
  batch.row_begin = {row_begin, {2}};
  batch.slots = {&slot_, {1}};
  batch.logit_rows = {logit_rows.data(), {rows}};
  batch.state.base = states_->base();
  if (pages_ != nullptr) {
    batch.pages = {page_list_.data(), {1, static_cast<int64_t>(page_list_.size())}};
    batch.kv = {pages_->base(), pages_->num_pages(), kPageTokens};
  }
  batch.logits = {logits_.data(), {rows, model_->description().vocab_size}};
  batch.max_rows = rows;
  seen_ += rows;
  return model_->Forward(batch, Stream(threads_));
}

}  // namespace skein::eval
