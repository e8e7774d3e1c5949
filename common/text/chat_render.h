// How each chat format writes its turns; ChatFormat::render of the table in chat_format.cc.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "common/text/chat_format.h"

namespace skein {

using ChatTurns = std::vector<ChatTurn>;

absl::StatusOr<std::string> RenderChatml(const ChatTurns& turns, const ChatOptions& options);
absl::StatusOr<std::string> RenderQwen(const ChatTurns& turns, const ChatOptions& options);
absl::StatusOr<std::string> RenderQwen3(const ChatTurns& turns, const ChatOptions& options);
absl::StatusOr<std::string> RenderLlama3(const ChatTurns& turns, const ChatOptions& options);
absl::StatusOr<std::string> RenderMistral(const ChatTurns& turns, const ChatOptions& options);
absl::StatusOr<std::string> RenderPhi35(const ChatTurns& turns, const ChatOptions& options);
absl::StatusOr<std::string> RenderPhi4(const ChatTurns& turns, const ChatOptions& options);
absl::StatusOr<std::string> RenderPhi4Mini(const ChatTurns& turns, const ChatOptions& options);
absl::StatusOr<std::string> RenderReka(const ChatTurns& turns, const ChatOptions& options);
absl::StatusOr<std::string> RenderWorld(const ChatTurns& turns, const ChatOptions& options);

}  // namespace skein
