#include "kernels/sample/sample.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/sample/distribution.h"
#include "kernels/sample/philox.h"
#include "kernels/sample/weight.h"

namespace skein {
namespace {

template <typename T>
absl::Status CheckShape(const char* name, const TensorView<T>& view, const Shape& expected) {
  if (!view.empty() && view.shape() == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("sample: ", name, " has shape ",
                                                 ShapeString(view.shape()), ", expected ",
                                                 ShapeString(expected)));
}

template <typename T>
absl::Status CheckList(const char* name, const TensorView<const int32_t>& begin,
                       const TensorView<const T>& entries, int64_t rows) {
  if (begin.empty() && entries.empty()) return absl::OkStatus();
  return CheckShape(name, begin, {rows + 1});
}

template <typename T>
std::span<const T> ListOf(const TensorView<const int32_t>& begin,
                          const TensorView<const T>& entries, int64_t row) {
  if (begin.empty() || entries.empty()) return {};
  return {entries.data() + begin[row], entries.data() + begin[row + 1]};
}

// Buffers of one thread, kept from step to step.
struct Workspace {
  Distribution distribution;
  std::vector<RankedLogit> top;
  std::vector<float> edited;  // logits of a row with edits
};

// The model's own distribution, before any edit.
struct RawLogprobs {
  float max = 0;
  double log_total = 0;

  float Of(float logit) const {
    const double logprob = double{logit} - max - log_total;
    return std::isinf(logprob) ? kCutLogprob : static_cast<float>(logprob);
  }
};

class RowSampler {
 public:
  RowSampler(const SampleArgs& args, int64_t index, Workspace& work)
      : args_(args),
        index_(index),
        row_(args.rows[index]),
        logits_(args.logits.row(args.logits_row.empty() ? index : args.logits_row[index]),
                static_cast<size_t>(args.vocab())),
        work_(work) {}

  SampleOutcome Run() {
    const bool wants_raw =
        row_.given_token >= 0 || ((row_.logprob || row_.num_top > 0) && !row_.processed);
    if (wants_raw && !TakeRaw()) return SampleOutcome::kNotFinite;
    if (row_.given_token >= 0) {
      args_.tokens[index_] = row_.given_token;
      args_.logprobs[index_] = raw_.Of(logits_[row_.given_token]);
      return SampleOutcome::kOk;
    }
    const SampleOutcome outcome = work_.distribution.Build(row_, Edited());
    if (outcome != SampleOutcome::kOk) return outcome;
    const int32_t token = work_.distribution.Draw(DrawUniform(row_.seed, row_.step, row_.choice));
    args_.tokens[index_] = token;
    if (wants_raw) {
      if (row_.logprob) args_.logprobs[index_] = raw_.Of(logits_[token]);
    } else if (row_.processed) {
      WriteProcessed(token);
    }
    return outcome;
  }

 private:
  bool TakeRaw() {
    const LogitMax found = FindMax(logits_);
    if (found.has_nan || std::isinf(found.max)) return false;
    const uint64_t total = SumWeights(logits_, found.max, 1.0f, nullptr);
    raw_ = {found.max, std::log(static_cast<double>(total) * kWeightUnit)};
    FindTop(logits_, row_.num_top, work_.top);
    for (RankedLogit& entry : work_.top) entry.logit = raw_.Of(entry.logit);
    WriteTop();
    return true;
  }

  void WriteProcessed(int32_t token) {
    if (row_.logprob) args_.logprobs[index_] = work_.distribution.LogProbability(token);
    work_.distribution.Top(row_.num_top, work_.top);
    WriteTop();
  }

  void WriteTop() {
    for (size_t i = 0; i < work_.top.size(); ++i) {
      args_.top_tokens.row(index_)[i] = work_.top[i].index;
      args_.top_logprobs.row(index_)[i] = work_.top[i].logit;
    }
  }

  RowEdits Edits() const {
    RowEdits edits{.penalties = ListOf(args_.penalty_begin, args_.penalties, index_),
                   .biases = ListOf(args_.bias_begin, args_.biases, index_),
                   .banned = ListOf(args_.banned_begin, args_.banned, index_),
                   .mask = {}};
    if (row_.mask >= 0) {
      edits.mask = {args_.masks.row(row_.mask), static_cast<size_t>(args_.masks.dim(1))};
    }
    return edits;
  }

  // The logits to draw from: those given, or a copy where something changes them.
  std::span<const float> Edited() {
    const RowEdits edits = Edits();
    if (edits.penalties.empty() && edits.biases.empty() && edits.banned.empty() &&
        edits.mask.empty()) {
      return logits_;
    }
    work_.edited.assign(logits_.begin(), logits_.end());
    EditLogits(row_, edits, work_.edited);
    return work_.edited;
  }

  const SampleArgs& args_;
  const int64_t index_;
  const SampleRow& row_;
  const std::span<const float> logits_;
  Workspace& work_;
  RawLogprobs raw_;
};

}  // namespace

absl::Status SampleArgs::Validate() const {
  if (logits.empty() || logits.rank() != 2) {
    return absl::InvalidArgumentError("sample: logits must be [outputs, vocab]");
  }
  if (vocab() > kMaxSampleVocab) {
    return absl::InvalidArgumentError(
        absl::StrCat("sample: vocabulary of ", vocab(), ", expected at most ", kMaxSampleVocab));
  }
  const int64_t num_rows = logits_row.empty() ? logits.dim(0) : logits_row.size();
  if (!logits_row.empty()) RETURN_IF_ERROR(CheckShape("logits_row", logits_row, {num_rows}));
  RETURN_IF_ERROR(CheckShape("rows", rows, {num_rows}));
  RETURN_IF_ERROR(CheckList("penalty_begin", penalty_begin, penalties, num_rows));
  RETURN_IF_ERROR(CheckList("bias_begin", bias_begin, biases, num_rows));
  RETURN_IF_ERROR(CheckList("banned_begin", banned_begin, banned, num_rows));
  if (!masks.empty()) {
    RETURN_IF_ERROR(CheckShape("masks", masks, {masks.dim(0), (logits.dim(1) + 31) / 32}));
  }
  RETURN_IF_ERROR(CheckShape("tokens", tokens, {num_rows}));
  RETURN_IF_ERROR(CheckShape("outcomes", outcomes, {num_rows}));
  RETURN_IF_ERROR(CheckShape("logprobs", logprobs, {num_rows}));
  RETURN_IF_ERROR(CheckShape("top_tokens", top_tokens, {num_rows, kMaxTopLogprobs}));
  return CheckShape("top_logprobs", top_logprobs, {num_rows, kMaxTopLogprobs});
}

void SampleCpu(const SampleArgs& args, ParallelFor& threads) {
  threads.Run(args.num_rows(), 1, [&](int64_t begin, int64_t end) {
    thread_local Workspace work;
    for (int64_t i = begin; i < end; ++i) {
      if (!args.rows[i].padding) args.outcomes[i] = RowSampler(args, i, work).Run();
    }
  });
}

}  // namespace skein
