// Model profiles for the tests of conversions: no model behind them.
#pragma once

#include <memory>
#include <string>

#include "tests/testing/byte_tokenizer.h"
#include "worker/engine/model_host.h"

namespace skein {

// "m": a hybrid with ByteTokenizer and chatml; 300 rows of logits, prompts of 100 tokens, outputs
// of 50, 120 together, 8 sequences.
inline ModelProfile TestProfile() {
  ModelProfile profile;
  profile.name = "m";
  profile.description.architecture = "hybrid";
  profile.description.vocab_size = 300;
  profile.text.tokenizer = std::make_shared<ByteTokenizer>();
  profile.text.chat = *FindChatFormat("chatml");
  profile.text.end_tokens = {ByteTokenizer::kEnd, 1000};
  profile.max_prompt_tokens = 100;
  profile.max_tokens = 50;
  profile.max_total_tokens = 120;
  profile.max_sequences = 8;
  return profile;
}

inline ModelProfile ProfileWithoutTokenizer() {
  ModelProfile profile = TestProfile();
  profile.text = ModelText();
  return profile;
}

inline ModelProfile ProfileWithoutChat() {
  ModelProfile profile = TestProfile();
  profile.text.chat = nullptr;
  return profile;
}

}  // namespace skein
