#include "worker/rpc/prompt_conversion.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

absl::StatusOr<ConvertedPrompt> ConvertText(const std::string& text, const ModelProfile& model) {
  if (model.text.tokenizer == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("prompt: text, but model ", model.name,
                                                   " has no tokenizer, expected token ids"));
  }
  return ConvertedPrompt{model.text.EncodePrompt(text), text, false};
}

absl::StatusOr<ConvertedPrompt> ConvertTokens(const v1::TokenIds& tokens,
                                              const ModelProfile& model) {
  ConvertedPrompt converted;
  ASSIGN_OR_RETURN(converted.tokens,
                   ConvertTokenIds("prompt", tokens.ids(), model.description.vocab_size));
  if (model.text.tokenizer != nullptr) {
    converted.text = Decode(*model.text.tokenizer, converted.tokens, /*skip_special=*/false);
  }
  return converted;
}

absl::StatusOr<ConvertedPrompt> ConvertChat(const v1::Chat& chat, const ModelProfile& model) {
  if (model.text.tokenizer == nullptr || model.text.chat == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("prompt.chat: model ", model.name, " has no ",
                     model.text.tokenizer == nullptr ? "tokenizer" : "chat format",
                     ", expected a plain prompt"));
  }
  if (chat.has_thinking()) {
    return absl::UnimplementedError(absl::StrCat(
        "prompt.chat.thinking: not supported for chat format ", model.text.chat->name));
  }
  if (chat.turns().empty()) {
    return absl::InvalidArgumentError("prompt.chat.turns: none, expected at least one");
  }
  std::vector<ChatTurn> turns;
  for (const v1::ChatTurn& turn : chat.turns()) turns.push_back({turn.role(), turn.content()});
  absl::StatusOr<std::string> text = model.text.chat->render(turns, model.text.chat_options);
  if (!text.ok()) {
    return absl::Status(text.status().code(),
                        absl::StrCat("prompt.chat: ", text.status().message()));
  }
  std::vector<int32_t> tokens = model.text.tokenizer->Encode(*text, /*add_special=*/false);
  return ConvertedPrompt{std::move(tokens), *std::move(text), true};
}

}  // namespace

absl::StatusOr<std::vector<int32_t>> ConvertTokenIds(
    absl::string_view field, const google::protobuf::RepeatedField<uint32_t>& ids,
    int64_t vocab_size) {
  std::vector<int32_t> converted;
  converted.reserve(ids.size());
  for (const uint32_t id : ids) {
    if (id >= vocab_size) {
      return absl::InvalidArgumentError(absl::StrCat(field, ": token ", id, " at index ",
                                                     converted.size(), ", expected less than ",
                                                     vocab_size));
    }
    converted.push_back(static_cast<int32_t>(id));
  }
  return converted;
}

absl::StatusOr<ConvertedPrompt> ConvertPrompt(const v1::Prompt& prompt, const ModelProfile& model) {
  switch (prompt.kind_case()) {
    case v1::Prompt::kText:
      return ConvertText(prompt.text(), model);
    case v1::Prompt::kTokens:
      return ConvertTokens(prompt.tokens(), model);
    case v1::Prompt::kChat:
      return ConvertChat(prompt.chat(), model);
    case v1::Prompt::KIND_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("prompt: missing, expected text, tokens or chat");
}

absl::Status CheckPromptLength(int64_t prompt_tokens, int64_t output_tokens,
                               const ModelProfile& model) {
  if (prompt_tokens == 0) {
    return absl::InvalidArgumentError("prompt: no tokens, expected at least one");
  }
  const int64_t limit = std::min(model.max_prompt_tokens, model.max_total_tokens - output_tokens);
  if (prompt_tokens <= limit) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("prompt: ", prompt_tokens, " tokens, expected at most ", limit));
}

}  // namespace skein
