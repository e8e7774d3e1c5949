// Where the output of a request goes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace skein {

struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;  // natural logarithm
};

struct TokenOutput {
  int32_t token = 0;
  std::optional<float> logprob;   // with logprobs; unset for the first token of a prompt
  std::vector<TokenLogprob> top;  // largest first, ties by token
};

enum class FinishReason { kStop, kLength };

// What is known once the prompt is fed.
struct StartInfo {
  uint64_t seed = 0;
  int64_t prompt_tokens = 0;
  std::vector<TokenOutput> prompt;  // with LogprobsOptions::prompt
};

// Output of one choice since its last chunk.
struct OutputChunk {
  int choice = 0;
  int drawn = 0;     // tokens, those without text of their own included
  std::string text;  // whole UTF-8 characters; what may begin a stop string is held back
  std::vector<TokenOutput> tokens;     // with logprobs
  std::optional<FinishReason> finish;  // in the choice's last chunk
  std::string matched_stop;
};

struct RequestUsage {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;
  int64_t completion_tokens = 0;                   // over all choices
  int state_rows = 1;                              // that each token takes: the branches
  std::optional<absl::Duration> queue_wait = {};   // accepted to admitted, if it was
  std::optional<absl::Duration> first_token = {};  // accepted to the end of the prompt, if it came
  absl::Duration total;                            // accepted to ended
};

// Called by the step loop, never concurrently, in the order Start? Write* End. Must not block and
// must not call back into the step loop. No call follows End.
class TokenSink {
 public:
  virtual ~TokenSink() = default;
  virtual void Start(const StartInfo& info) = 0;
  virtual void Write(OutputChunk chunk) = 0;
  // Ok after every choice has finished; Cancelled, DeadlineExceeded, Unavailable (the loop was
  // stopped), InvalidArgument (the request's masks left no token to draw) or Internal (the model
  // failed) otherwise.
  virtual void End(const absl::Status& status, const RequestUsage& usage) = 0;
};

}  // namespace skein
