// A chat template to recognise, and turns that every format renders: TEMPLATE 1f BOS 1f EOS 1f
// SYSTEM 1f ROLES 1f CONTENTS. A byte of ROLES is a turn: s, u and a are system, user and
// assistant; CONTENTS is a list.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

#include "common/text/chat_format.h"
#include "tests/fuzz/fuzz.h"

namespace {

using skein::ChatFormat;
using skein::ChatOptions;
using skein::ChatTurn;
using skein::fuzz::Parts;
using skein::fuzz::Require;

constexpr const char* kFormats[] = {"chatml", "qwen", "qwen3",    "llama3", "mistral",
                                    "phi3.5", "phi4", "phi4mini", "reka",   "world"};
constexpr size_t kMaxTurns = 64;
constexpr size_t kMaxFrameBytes = 128;  // that a format adds to a turn

std::string Role(char c) {
  switch (c) {
    case 's':
      return "system";
    case 'u':
      return "user";
    case 'a':
      return "assistant";
    default:
      return std::string(1, c);
  }
}

size_t MostBytes(const std::vector<ChatTurn>& turns, const ChatOptions& options) {
  size_t bytes = kMaxFrameBytes + options.bos_token.size() + options.default_system.size();
  for (const ChatTurn& turn : turns) {
    bytes += turn.role.size() + turn.content.size() + options.eos_token.size() + kMaxFrameBytes;
  }
  return bytes + options.eos_token.size();
}

// What users said is in the text, whole and in its order.
void CheckUsersText(const std::vector<ChatTurn>& turns, const std::string& text) {
  size_t pos = 0;
  for (const ChatTurn& turn : turns) {
    if (turn.role != "user") continue;
    const size_t found = text.find(turn.content, pos);
    Require(found != std::string::npos, "what a user said is in the prompt", turn.content);
    pos = found + turn.content.size();
  }
}

void CheckFormat(const ChatFormat& format, const std::vector<ChatTurn>& turns,
                 const ChatOptions& options) {
  const auto text = format.render(turns, options);
  if (!text.ok()) {
    skein::fuzz::RequireFailure(text.status(), {absl::StatusCode::kInvalidArgument});
    return;
  }
  for (const ChatTurn& turn : turns) {
    Require(turn.role == "system" || turn.role == "user" || turn.role == "assistant",
            "unknown roles are refused", turn.role);
  }
  Require(text->size() <= MostBytes(turns, options), "a prompt is as long as its turns");
  CheckUsersText(turns, *text);
  ChatOptions bare = options;
  bare.add_generation_prompt = !options.add_generation_prompt;
  Require(format.render(turns, bare).ok(), "the generation prompt is no reason to refuse");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Parts parts(skein::fuzz::Text(data, size));
  const absl::string_view chat_template = parts.Next();
  const ChatFormat* detected = skein::DetectChatFormat(chat_template);
  if (detected != nullptr) {
    Require(skein::FindChatFormat(detected->name).ok(), "recognised formats have names");
  }
  const std::string system = skein::DefaultSystemMessage(chat_template);
  Require(absl::StrContains(chat_template, system), "the system message is in the template");

  ChatOptions options;
  options.bos_token = std::string(parts.Next());
  options.eos_token = std::string(parts.Next());
  options.default_system = std::string(parts.Next());
  options.add_generation_prompt = options.bos_token.size() % 2 == 0;
  std::vector<ChatTurn> turns;
  const absl::string_view roles = parts.Next().substr(0, kMaxTurns);
  absl::string_view contents = parts.Rest();
  for (const char role : roles) {
    turns.push_back({Role(role), std::string(Parts::NextItem(contents))});
  }
  for (const char* name : kFormats) CheckFormat(**skein::FindChatFormat(name), turns, options);
  return 0;
}
