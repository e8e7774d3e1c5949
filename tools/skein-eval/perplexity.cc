#include "tools/skein-eval/perplexity.h"

#include <algorithm>
#include <cmath>

#include "common/base/status_macros.h"

namespace skein::eval {

double NegativeLogLikelihood(std::span<const float> logits, int32_t token) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return std::log(sum) + largest - logits[static_cast<size_t>(token)];
}

double Perplexity::perplexity() const { return std::exp(mean_nll()); }

double Perplexity::bits_per_byte() const {
  return total_nll / std::log(2.0) / static_cast<double>(scored_bytes);
}

absl::StatusOr<Perplexity> Score(SequenceRunner& runner, const Tokenizer& tokenizer,
                                 std::span<const int32_t> tokens) {
  if (tokens.size() < 2) {
    return absl::InvalidArgumentError("the text has fewer than two tokens: nothing to predict");
  }
  Perplexity result;
  size_t next = 1;
  RETURN_IF_ERROR(runner.Feed(tokens.first(tokens.size() - 1), [&](std::span<const float> logits) {
    const int32_t token = tokens[next++];
    if (token < 0 || static_cast<size_t>(token) >= logits.size()) {
      return absl::InvalidArgumentError("the tokenizer has tokens that the model has not");
    }
    result.total_nll += NegativeLogLikelihood(logits, token);
    result.scored_tokens += 1;
    result.scored_bytes += static_cast<int64_t>(tokenizer.TokenBytes(token).size());
    return absl::OkStatus();
  }));
  return result;
}

}  // namespace skein::eval
