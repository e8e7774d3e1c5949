// Everything about text that a model folder holds: its tokenizer, its chat format and what ends a
// reply.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "common/text/chat_format.h"
#include "common/text/tokenizer.h"

namespace skein {

// Immutable once loaded; may be shared by threads.
struct ModelText {
  std::shared_ptr<const Tokenizer> tokenizer;  // null: the model serves token prompts only
  const ChatFormat* chat = nullptr;            // null: no chat
  ChatOptions chat_options;                    // bos and eos text, add_generation_prompt true
  std::vector<int32_t> end_tokens;             // rising, each once; an id may lack a token
  int32_t bos_token = -1;                      // -1: none
  bool add_bos = false;                        // plain prompts begin with bos_token

  // Ids of a plain prompt: with what the post-processor adds, and bos_token in front where add_bos
  // asks for it and it is not there yet. The tokenizer must not be null. Chat prompts are encoded
  // by tokenizer->Encode(text, false).
  std::vector<int32_t> EncodePrompt(absl::string_view text) const;
};

// `model_path` is the model's folder, or a file in it. Looks there for tokenizer.json, else
// rwkv_vocab_v20230424.txt, and for tokenizer_config.json, chat_template.jinja,
// generation_config.json and config.json, each of which may be missing. `tokenizer_override` is a
// tokenizer file or a folder with one, `chat_format_override` a name of FindChatFormat; empty means
// none. InvalidArgument for a damaged file, NotFound for an override that does not exist,
// Unimplemented for a tokenizer that needs parts that skein does not have.
absl::StatusOr<ModelText> LoadModelText(const std::string& model_path,
                                        const std::string& tokenizer_override,
                                        const std::string& chat_format_override);

}  // namespace skein
