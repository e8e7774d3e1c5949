#include "common/text/chat_render.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

constexpr absl::string_view kQwenSystem =
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";

absl::Status CheckRoles(const ChatTurns& turns) {
  for (size_t i = 0; i < turns.size(); ++i) {
    const std::string& role = turns[i].role;
    if (role == "system" || role == "user" || role == "assistant") continue;
    return absl::InvalidArgumentError(
        absl::StrCat("messages[", i, "].role: \"", role, "\", expected system, user or assistant"));
  }
  return absl::OkStatus();
}

// Where a format writes every turn in one way.
struct Frame {
  absl::string_view before_role, after_role, after_text;
  absl::string_view generation_prompt;
};

std::string RenderFrame(const Frame& frame, const ChatTurns& turns, bool add_generation_prompt) {
  std::string text;
  for (const ChatTurn& turn : turns) {
    absl::StrAppend(&text, frame.before_role, turn.role, frame.after_role, turn.content,
                    frame.after_text);
  }
  if (add_generation_prompt) absl::StrAppend(&text, frame.generation_prompt);
  return text;
}

constexpr Frame kChatml = {"<|im_start|>", "\n", "<|im_end|>\n", "<|im_start|>assistant\n"};

absl::string_view StripNewlines(absl::string_view text) {
  while (absl::ConsumePrefix(&text, "\n")) {
  }
  while (absl::ConsumeSuffix(&text, "\n")) {
  }
  return text;
}

absl::string_view StripLeadingNewlines(absl::string_view text) {
  while (absl::ConsumePrefix(&text, "\n")) {
  }
  return text;
}

absl::string_view BeforeFirst(absl::string_view text, absl::string_view mark) {
  return text.substr(0, text.find(mark));
}

absl::string_view AfterLast(absl::string_view text, absl::string_view mark) {
  const size_t pos = text.rfind(mark);
  return pos == absl::string_view::npos ? text : text.substr(pos + mark.size());
}

// A user turn that carries a tool's answer asks nothing.
bool IsQuery(const ChatTurn& turn) {
  return turn.role == "user" && !(absl::StartsWith(turn.content, "<tool_response>") &&
                                  absl::EndsWith(turn.content, "</tool_response>"));
}

size_t AfterLastQuery(const ChatTurns& turns) {
  for (size_t i = turns.size(); i > 0; --i) {
    if (IsQuery(turns[i - 1])) return i;
  }
  return 0;
}

// Reasoning is kept in turns after the last query only; the last turn has a think block even if it
// is empty.
std::string Qwen3Assistant(absl::string_view content, bool keep_reasoning, bool is_last) {
  absl::string_view reasoning;
  absl::string_view answer = content;
  if (absl::StrContains(content, "</think>")) {
    answer = StripLeadingNewlines(AfterLast(content, "</think>"));
    absl::string_view before = BeforeFirst(content, "</think>");
    while (absl::ConsumeSuffix(&before, "\n")) {
    }
    reasoning = StripLeadingNewlines(AfterLast(before, "<think>"));
  }
  if (!keep_reasoning || (!is_last && reasoning.empty())) return std::string(answer);
  return absl::StrCat("<think>\n", StripNewlines(reasoning), "\n</think>\n\n",
                      StripLeadingNewlines(answer));
}

// Earlier answers without the reasoning that led to them.
std::string DropReasoning(absl::string_view content) {
  if (!absl::StrContains(content, "</reasoning>")) return std::string(content);
  return absl::StrCat(BeforeFirst(content, "<reasoning>"), AfterLast(content, "</reasoning>"));
}

}  // namespace

absl::StatusOr<std::string> RenderChatml(const ChatTurns& turns, const ChatOptions& options) {
  RETURN_IF_ERROR(CheckRoles(turns));
  return RenderFrame(kChatml, turns, options.add_generation_prompt);
}

absl::StatusOr<std::string> RenderQwen(const ChatTurns& turns, const ChatOptions& options) {
  if (!turns.empty() && turns[0].role == "system") return RenderChatml(turns, options);
  ChatTurns with_system = {{"system", options.default_system.empty() ? std::string(kQwenSystem)
                                                                     : options.default_system}};
  with_system.insert(with_system.end(), turns.begin(), turns.end());
  RETURN_IF_ERROR(CheckRoles(turns));
  return RenderFrame(kChatml, with_system, options.add_generation_prompt);
}

absl::StatusOr<std::string> RenderQwen3(const ChatTurns& turns, const ChatOptions& options) {
  ChatTurns edited = turns;
  const size_t after_query = AfterLastQuery(turns);
  for (size_t i = 0; i < edited.size(); ++i) {
    if (edited[i].role != "assistant") continue;
    edited[i].content = Qwen3Assistant(turns[i].content, i >= after_query, i + 1 == edited.size());
  }
  return RenderChatml(edited, options);
}

absl::StatusOr<std::string> RenderLlama3(const ChatTurns& turns, const ChatOptions& options) {
  RETURN_IF_ERROR(CheckRoles(turns));
  const Frame frame = {"<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>",
                       "<|start_header_id|>assistant<|end_header_id|>\n\n"};
  return absl::StrCat(options.bos_token, RenderFrame(frame, turns, options.add_generation_prompt));
}

absl::StatusOr<std::string> RenderMistral(const ChatTurns& turns, const ChatOptions& options) {
  RETURN_IF_ERROR(CheckRoles(turns));
  std::string text = options.bos_token;
  for (const ChatTurn& turn : turns) {
    if (turn.role == "user") {
      absl::StrAppend(&text, "[INST]", turn.content, "[/INST]");
    } else if (turn.role == "system") {
      absl::StrAppend(&text, "[SYSTEM_PROMPT]", turn.content, "[/SYSTEM_PROMPT]");
    } else {
      absl::StrAppend(&text, turn.content, options.eos_token);
    }
  }
  return text;
}

absl::StatusOr<std::string> RenderPhi35(const ChatTurns& turns, const ChatOptions& options) {
  RETURN_IF_ERROR(CheckRoles(turns));
  ChatTurns kept;
  for (const ChatTurn& turn : turns) {
    if (turn.role != "system" || !turn.content.empty()) kept.push_back(turn);
  }
  const Frame frame = {"<|", "|>\n", "<|end|>\n", "<|assistant|>\n"};
  std::string text = RenderFrame(frame, kept, options.add_generation_prompt);
  if (!options.add_generation_prompt) text += options.eos_token;
  return text;
}

absl::StatusOr<std::string> RenderPhi4(const ChatTurns& turns, const ChatOptions& options) {
  RETURN_IF_ERROR(CheckRoles(turns));
  const Frame frame = {"<|im_start|>", "<|im_sep|>", "<|im_end|>",
                       "<|im_start|>assistant<|im_sep|>"};
  return RenderFrame(frame, turns, options.add_generation_prompt);
}

absl::StatusOr<std::string> RenderPhi4Mini(const ChatTurns& turns, const ChatOptions& options) {
  RETURN_IF_ERROR(CheckRoles(turns));
  const Frame frame = {"<|", "|>", "<|end|>", "<|assistant|>"};
  std::string text = RenderFrame(frame, turns, options.add_generation_prompt);
  if (!options.add_generation_prompt) text += options.eos_token;
  return text;
}

// A system message has no turn of its own: it goes in front of the message that follows it.
absl::StatusOr<std::string> RenderReka(const ChatTurns& turns, const ChatOptions& options) {
  RETURN_IF_ERROR(CheckRoles(turns));
  ChatTurns merged = turns;
  if (!merged.empty() && merged[0].role == "system") {
    if (merged.size() == 1) {
      return absl::InvalidArgumentError(
          "messages: a system message alone; format reka needs one after it");
    }
    merged[1].content = absl::StrCat(merged[0].content, " ", merged[1].content);
    merged.erase(merged.begin());
  }
  if (merged.empty()) {
    return absl::InvalidArgumentError("messages: empty, format reka needs at least one");
  }
  const bool ask = options.add_generation_prompt && merged.back().role != "assistant";
  std::string text;
  for (const ChatTurn& turn : merged) {
    const absl::string_view who = turn.role == "user" ? absl::string_view("human") : turn.role;
    const bool is_answer = turn.role == "assistant";
    absl::StrAppend(&text, who, ": ", is_answer ? DropReasoning(turn.content) : turn.content,
                    " <sep> ");
  }
  absl::StrAppend(&text, ask ? absl::string_view("assistant: ") : options.eos_token);
  return text;
}

absl::StatusOr<std::string> RenderWorld(const ChatTurns& turns, const ChatOptions& options) {
  RETURN_IF_ERROR(CheckRoles(turns));
  std::string text;
  for (const ChatTurn& turn : turns) {
    const absl::string_view who = turn.role == "user"     ? "User"
                                  : turn.role == "system" ? "System"
                                                          : "Assistant";
    absl::StrAppend(&text, who, ": ", turn.content, "\n\n");
  }
  if (options.add_generation_prompt) text += "Assistant:";
  return text;
}

}  // namespace skein
