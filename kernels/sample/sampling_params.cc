#include "kernels/sample/sampling_params.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

absl::Status Require(bool condition, absl::string_view field, float value,
                     absl::string_view expected) {
  if (condition) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", value, ", expected ", expected));
}

absl::Status CheckToken(absl::string_view field, int32_t token, int64_t vocab_size) {
  if (token >= 0 && token < vocab_size) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": token ", token, ", expected 0 to ", vocab_size - 1));
}

absl::Status CheckTokens(absl::string_view field, const std::vector<int32_t>& tokens,
                         int64_t vocab_size) {
  for (const int32_t token : tokens) RETURN_IF_ERROR(CheckToken(field, token, vocab_size));
  return absl::OkStatus();
}

bool InUnit(float value) { return value >= 0 && value <= 1; }

}  // namespace

absl::Status SamplingParams::Validate(int64_t vocab_size) const {
  RETURN_IF_ERROR(Require(std::isfinite(temperature) && temperature >= 0, "temperature",
                          temperature, "a number of at least 0"));
  RETURN_IF_ERROR(Require(InUnit(top_p), "top_p", top_p, "0 to 1"));
  RETURN_IF_ERROR(Require(InUnit(min_p), "min_p", min_p, "0 to 1"));
  RETURN_IF_ERROR(Require(std::isfinite(presence_penalty), "presence_penalty", presence_penalty,
                          "a finite number"));
  RETURN_IF_ERROR(Require(std::isfinite(frequency_penalty), "frequency_penalty", frequency_penalty,
                          "a finite number"));
  RETURN_IF_ERROR(Require(penalty_decay > 0 && penalty_decay <= 1, "penalty_decay", penalty_decay,
                          "more than 0 and at most 1"));
  RETURN_IF_ERROR(Require(std::isfinite(repetition_penalty) && repetition_penalty > 0,
                          "repetition_penalty", repetition_penalty, "a number above 0"));
  RETURN_IF_ERROR(Require(std::isfinite(prompt_penalty_weight) && prompt_penalty_weight >= 0,
                          "prompt_penalty_weight", prompt_penalty_weight,
                          "a number of at least 0"));
  RETURN_IF_ERROR(CheckTokens("penalty_exempt_tokens", penalty_exempt_tokens, vocab_size));
  RETURN_IF_ERROR(CheckTokens("banned_tokens", banned_tokens, vocab_size));
  for (const auto& [token, bias] : logit_bias) {
    RETURN_IF_ERROR(CheckToken("logit_bias", token, vocab_size));
    RETURN_IF_ERROR(Require(bias >= -100 && bias <= 100, "logit_bias", bias, "-100 to 100"));
  }
  if (!allowed_tokens.has_value()) return absl::OkStatus();
  if (allowed_tokens->empty()) {
    return absl::InvalidArgumentError("allowed_tokens: empty, expected at least one token");
  }
  return CheckTokens("allowed_tokens", *allowed_tokens, vocab_size);
}

}  // namespace skein
