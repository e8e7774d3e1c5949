// chat.completion.chunk and chat.completion objects.
#pragma once

#include <memory>

#include "gateway/endpoints/reply_format.h"

namespace skein {

struct ChatReplyOptions {
  uint32_t num_choices = 1;
  bool logprobs = false;
  bool include_usage = false;   // a last chunk with the usage
  bool always_content = false;  // the delta of the chunk that ends a choice has one, too
};

// Chunks: per choice one with the role, then texts, then one with the reason of its end.
std::unique_ptr<ReplyFormat> MakeChatStream(ReplyHead head, const ChatReplyOptions& options);
std::unique_ptr<ReplyFormat> MakeChatReply(ReplyHead head, const ChatReplyOptions& options);

}  // namespace skein
