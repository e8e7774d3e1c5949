// From a Prompt message to the tokens that the model reads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/repeated_field.h"

#include "skein/v1/inference.pb.h"
#include "worker/engine/model_host.h"

namespace skein {

struct ConvertedPrompt {
  std::vector<int32_t> tokens;
  std::string text;  // what `tokens` stand for; empty without a tokenizer
  bool is_chat = false;
};

// Text gets the special tokens that the tokenizer adds, a chat only those that its format writes.
// InvalidArgument for a token outside the vocabulary, a chat that the format refuses, no prompt at
// all, or text or chat where the model lacks the tokenizer or the format; Unimplemented for
// `thinking`. Any length passes, also none.
absl::StatusOr<ConvertedPrompt> ConvertPrompt(const v1::Prompt& prompt, const ModelProfile& model);

// InvalidArgument unless the prompt has a token and room is left for `output_tokens` more.
absl::Status CheckPromptLength(int64_t prompt_tokens, int64_t output_tokens,
                               const ModelProfile& model);

// InvalidArgument that starts with `field` if an id is not in the vocabulary.
absl::StatusOr<std::vector<int32_t>> ConvertTokenIds(
    absl::string_view field, const google::protobuf::RepeatedField<uint32_t>& ids,
    int64_t vocab_size);

}  // namespace skein
