// How well a model predicts a text.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"

#include "common/text/tokenizer.h"
#include "tools/skein-eval/sequence_runner.h"

namespace skein::eval {

// -log softmax(logits)[token], in nats.
double NegativeLogLikelihood(std::span<const float> logits, int32_t token);

struct Perplexity {
  int64_t scored_tokens = 0;
  int64_t scored_bytes = 0;
  double total_nll = 0;  // nats

  double mean_nll() const { return total_nll / static_cast<double>(scored_tokens); }
  double perplexity() const;
  double bits_per_byte() const;
};

// Scores every token but the first, given those before it. InvalidArgument for fewer than two
// tokens.
absl::StatusOr<Perplexity> Score(SequenceRunner& runner, const Tokenizer& tokenizer,
                                 std::span<const int32_t> tokens);

}  // namespace skein::eval
