// What one request asks of the sampler. docs/sampling.md defines each field.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace skein {

enum class SamplingOrder { kRwkv, kHf };

struct SamplingParams {
  float temperature = 1.0f;  // >= 0; below 1e-5 greedy
  int32_t top_k = 0;         // <= 0: off
  float top_p = 1.0f;        // [0, 1]; 0: greedy
  float min_p = 0.0f;        // [0, 1]
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  float penalty_decay = 1.0f;       // (0, 1]
  float repetition_penalty = 1.0f;  // > 0
  bool repetition_output_only = false;
  float prompt_penalty_weight = 0.0f;  // >= 0
  SamplingOrder order = SamplingOrder::kRwkv;
  uint64_t seed = 0;
  std::vector<int32_t> penalty_exempt_tokens;
  std::vector<std::pair<int32_t, float>> logit_bias;  // token, [-100, 100]
  std::vector<int32_t> banned_tokens;
  std::optional<std::vector<int32_t>> allowed_tokens;

  // InvalidArgument that starts with the field's name if a value is out of range or a token is not
  // in [0, vocab_size).
  absl::Status Validate(int64_t vocab_size) const;
};

}  // namespace skein
