// A request as the engine sees it: tokens and numbers, already validated against the model's
// limits.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

#include "kernels/sample/sampling_params.h"
#include "worker/engine/conditioning.h"
#include "worker/engine/token_sink.h"

namespace skein {

struct StoppingParams {
  // Drawn per choice. 0: nothing is drawn, only the prompt is fed (and scored, if logprobs ask for
  // it).
  int64_t max_tokens = 0;
  int64_t min_tokens = 0;  // before these, end tokens are masked and stop strings are not searched
  std::vector<int32_t> end_tokens = {};  // end a choice; with ignore_eos they are banned instead
  bool ignore_eos = false;
  std::vector<std::string> stop = {};  // bytes
  bool include_stop = false;
};

struct LogprobsParams {
  int top = 0;  // 0 to 20
  bool prompt = false;
  bool processed = false;  // of the distribution that was drawn from
};

struct GenerationRequest {
  std::string request_id;
  std::vector<int32_t> prompt;  // at least one token
  SamplingParams sampling;
  StoppingParams stopping;
  std::optional<LogprobsParams> logprobs;
  Conditioning conditioning;
  int num_choices = 1;
  bool strip_leading_space = false;  // of each choice's first text
  absl::Time deadline = absl::InfiniteFuture();
  std::shared_ptr<TokenSink> sink;
};

}  // namespace skein
