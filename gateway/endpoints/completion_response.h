// text_completion objects, as chunks or whole.
#pragma once

#include <memory>

#include "gateway/endpoints/reply_format.h"

namespace skein {

struct CompletionReplyOptions {
  size_t num_prompts = 1;
  uint32_t choices_per_prompt = 1;
  bool logprobs = false;
  bool include_usage = false;  // a last chunk with the usage
};

std::unique_ptr<ReplyFormat> MakeCompletionStream(ReplyHead head,
                                                  const CompletionReplyOptions& options);
std::unique_ptr<ReplyFormat> MakeCompletionReply(ReplyHead head,
                                                 const CompletionReplyOptions& options);

}  // namespace skein
