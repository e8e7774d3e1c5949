// Tokens of a request as limits count them: a guess before it runs, what it really uses while it
// runs.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "gateway/access/access_control.h"
#include "skein/v1/inference.pb.h"

namespace skein {

// A prompt given as tokens has as many; one given as text one for every four bytes, which is what
// OpenAI's clients reckon with.
uint64_t EstimateTokens(const v1::Prompt& prompt);
// The prompt, and for each choice max_tokens, or 16 where the request does not say.
uint64_t EstimateTokens(const v1::GenerateRequest& request);

// Counts the tokens of one Generate call from its messages. Not thread-safe.
class TokenMeter {
 public:
  // Tells `admission`, which outlives it.
  explicit TokenMeter(const Admission& admission) : admission_(admission) {}

  // A worker is asked to read a prompt of so many tokens, at a guess.
  void OnAsked(uint64_t prompt_tokens) { asked_ = prompt_tokens; }
  // In their order, also those that nobody reads any more.
  void OnMessage(const v1::GenerateResponse& message);
  // The end of a call that failed. Who gave up, or had set a deadline that passed, before any
  // message told of the prompt, has made a worker read it all the same.
  void OnFailure(absl::StatusCode code);

 private:
  const Admission& admission_;
  uint64_t asked_ = 0;
  uint64_t told_ = 0;
};

}  // namespace skein
