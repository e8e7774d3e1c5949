// Draws one token for each row of logits: penalties, biases, masks, truncation, draw,
// log-probabilities. docs/sampling.md defines every step; its section numbers stand below.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/device/dispatch.h"
#include "kernels/device/stream.h"
#include "kernels/sample/sampling_params.h"

namespace skein {

// Reported for a token that the filters cut: its log-probability is minus infinity.
inline constexpr float kCutLogprob = -9999.0f;
inline constexpr int kMaxTopLogprobs = 20;

// Parameters of one row. The fields of SamplingParams mean what they mean there.
struct SampleRow {
  float temperature = 1;
  float top_p = 1;
  float min_p = 0;
  int32_t top_k = 0;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  float repetition_penalty = 1;
  SamplingOrder order = SamplingOrder::kRwkv;
  // The draw depends on these three alone.
  uint64_t seed = 0;
  uint64_t step = 0;  // tokens drawn before
  uint32_t choice = 0;
  int32_t given_token =
      -1;  // >= 0: nothing is drawn; the model's own log-probability of this token is wanted
  int32_t mask = -1;     // row of `masks`; -1: every token is allowed
  int32_t num_top = 0;   // likeliest tokens to report, at most kMaxTopLogprobs
  bool logprob = false;  // report the token's log-probability
  bool processed =
      false;  // of the distribution drawn from (step 9) instead of the model's own (step 1)
  bool padding = false;  // no row at all: nothing is read, nothing is written
};

struct PenaltyEntry {
  int32_t token = 0;
  float count = 0;        // n(t), decayed
  bool counted = false;   // presence and frequency apply
  bool repeated = false;  // the repetition penalty applies
};
struct BiasEntry {
  int32_t token = 0;
  float bias = 0;
};

enum class SampleOutcome : int32_t {
  kOk,
  kNothingAllowed,  // the masks leave no token
  kNotFinite,       // the logits hold NaN or plus infinity, or minus infinity alone
};

// Lists per row are stored one after the other: row i has entries [begin[i], begin[i + 1]). Tokens
// in them are below vocab; a row's penalties and biases name no token twice. A list that no row has
// may be absent, together with its begins.
struct SampleArgs {
  TensorView<const float> logits;           // [outputs, vocab], vocab at most kMaxSampleVocab
  TensorView<const int32_t> logits_row;     // [rows]: row i is drawn from logits[logits_row[i]];
                                            // absent: from logits[i]
  TensorView<const SampleRow> rows;         // [rows]
  TensorView<const int32_t> penalty_begin;  // [rows + 1]
  TensorView<const PenaltyEntry> penalties;
  TensorView<const int32_t> bias_begin;  // [rows + 1]
  TensorView<const BiasEntry> biases;
  TensorView<const int32_t> banned_begin;  // [rows + 1]
  TensorView<const int32_t> banned;
  TensorView<const uint32_t>
      masks;  // [masks, ceil(vocab / 32)]; bit t % 32 of word t / 32 set: token t is allowed

  TensorView<int32_t> tokens;          // [rows], the drawn or given token; written when kOk
  TensorView<SampleOutcome> outcomes;  // [rows]
  TensorView<float> logprobs;          // [rows], where asked for
  TensorView<int32_t>
      top_tokens;  // [rows, max_top], the first num_top of a row: largest first, ties by token
  TensorView<float> top_logprobs;  // [rows, max_top]

  int64_t num_rows() const { return rows.dim(0); }
  int64_t vocab() const { return logits.dim(1); }

  // InvalidArgument if the shapes disagree.
  absl::Status Validate() const;
};

// A row per task; a row's result does not depend on the others.
void SampleCpu(const SampleArgs& args, ParallelFor& threads);
// All views are device memory. No kernel writes rows and begins, which may be read while kernels
// ahead still run. A row's tokens, outcomes and logprobs are the CPU's, but for the last bit of
// logarithms.
absl::Status SampleCuda(const SampleArgs& args, CudaContext& context);

inline absl::Status Sample(const SampleArgs& args, const Stream& stream) {
  SKEIN_DISPATCH(Sample, args, stream);
}

}  // namespace skein
