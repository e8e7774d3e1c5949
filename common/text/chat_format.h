// Chat formats by name: how turns become one prompt, and what ends a reply.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace skein {

struct ChatTurn {
  std::string role;  // system, user, assistant
  std::string content;
};

struct ChatOptions {
  bool add_generation_prompt = true;
  std::string bos_token;  // text, may be empty
  std::string eos_token;
  // For formats that insert a system message where none is given; empty: the format's own.
  std::string default_system = "";
};

// A row of the table of formats: chatml, qwen, qwen3, llama3, mistral, phi3.5, phi4, phi4mini,
// reka, world. What each renders is in docs/tokenizers.md.
struct ChatFormat {
  absl::string_view name;
  // InvalidArgument for a role that the format does not know, or an order of turns that it forbids.
  absl::StatusOr<std::string> (*render)(const std::vector<ChatTurn>& turns,
                                        const ChatOptions& options);
  std::vector<absl::string_view> stop;  // default stop strings
  bool strip_leading_space;             // of a reply
  // Text of the token that ends a turn, empty if the format has none of its own: an end token
  // wherever the tokenizer has it, whatever the config files say.
  absl::string_view turn_end = "";
};

// NotFound, listing the names, for an unknown one. The result lives for ever.
absl::StatusOr<const ChatFormat*> FindChatFormat(absl::string_view name);
// By the literals in a chat template's text, first match; nullptr if none is known.
const ChatFormat* DetectChatFormat(absl::string_view template_text);
// The system message that such a template inserts where none is given: the literal in it that
// begins with "You are".
std::string DefaultSystemMessage(absl::string_view template_text);

}  // namespace skein
