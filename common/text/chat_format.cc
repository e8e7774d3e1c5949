#include "common/text/chat_format.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/text/chat_render.h"

namespace skein {
namespace {

const std::vector<ChatFormat>& Formats() {
  // Reka's <sep> is text, not a token, and comes with what stands before it.
  static const auto& formats = *new std::vector<ChatFormat>{
      {"chatml", RenderChatml, {}, false, "<|im_end|>"},
      {"qwen", RenderQwen, {}, false, "<|im_end|>"},
      {"qwen3", RenderQwen3, {}, false, "<|im_end|>"},
      {"llama3", RenderLlama3, {}, false, "<|eot_id|>"},
      {"mistral", RenderMistral, {}, false, "</s>"},
      {"phi3.5", RenderPhi35, {}, false, "<|end|>"},
      {"phi4", RenderPhi4, {}, false, "<|im_end|>"},
      {"phi4mini", RenderPhi4Mini, {}, false, "<|end|>"},
      {"reka",
       RenderReka,
       {"<sep>", " <sep>", "\n<sep>", "\n\n<sep>", " \n<sep>", "\n <sep>"},
       false,
       ""},
      {"world", RenderWorld, {"\n\nUser:"}, true, ""},
  };
  return formats;
}

const ChatFormat* Named(absl::string_view name) {
  for (const ChatFormat& format : Formats()) {
    if (format.name == name) return &format;
  }
  return nullptr;
}

// Whether a line ends right after one of the `mark`s. A template may write that as a real line end,
// as the two characters \n, and as a string of its own ('<|user|>' + '\n').
bool EndsALine(absl::string_view text, absl::string_view mark) {
  for (size_t pos = text.find(mark); pos != absl::string_view::npos;
       pos = text.find(mark, pos + 1)) {
    absl::string_view rest = text.substr(pos + mark.size());
    if (absl::StartsWith(rest, "\n") || absl::StartsWith(rest, "\r\n")) return true;
    rest.remove_prefix(std::min(rest.find_first_not_of(" '\"+~"), rest.size()));
    if (absl::StartsWith(rest, "\\n")) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<const ChatFormat*> FindChatFormat(absl::string_view name) {
  if (const ChatFormat* format = Named(name)) return format;
  const auto append_name = [](std::string* out, const ChatFormat& format) {
    absl::StrAppend(out, format.name);
  };
  return absl::NotFoundError(absl::StrCat("chat format \"", name, "\": unknown, expected one of ",
                                          absl::StrJoin(Formats(), ", ", append_name)));
}

const ChatFormat* DetectChatFormat(absl::string_view template_text) {
  const auto has = [template_text](absl::string_view literal) {
    return absl::StrContains(template_text, literal);
  };
  if (has("<|im_sep|>")) return Named("phi4");
  if (has("<|end|>")) return Named(EndsALine(template_text, "<|user|>") ? "phi3.5" : "phi4mini");
  if (has("[INST]")) return Named("mistral");
  if (has("<sep>")) return Named("reka");
  if (has("<|start_header_id|>")) return Named("llama3");
  if (!has("<|im_start|>")) return nullptr;
  if (has("<think>")) return Named("qwen3");
  return Named(has("You are") ? "qwen" : "chatml");
}

std::string DefaultSystemMessage(absl::string_view template_text) {
  const size_t begin = template_text.find("You are");
  if (begin == absl::string_view::npos) return std::string();
  absl::string_view message = template_text.substr(begin);
  message = message.substr(0, message.find("<|im_end|>"));
  return std::string(
      absl::StripAsciiWhitespace(message.substr(0, message.find_first_of("'\"\\\n{"))));
}

}  // namespace skein
