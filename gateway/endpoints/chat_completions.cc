#include "gateway/endpoints/chat_completions.h"

#include <algorithm>
#include <utility>

#include "common/base/status_macros.h"
#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/chat_response.h"
#include "gateway/endpoints/generation_run.h"
#include "gateway/endpoints/request_body.h"
#include "gateway/endpoints/resolve_model.h"

namespace skein {

absl::Status ChatCompletions(const HttpRequest& request, const Caller& caller,
                             GatewayContext& context, std::shared_ptr<HttpResponder> out) {
  ASSIGN_OR_RETURN(const boost::json::object body, ReadBody(request, context));
  ASSIGN_OR_RETURN(TextRequest chat, ReadChatRequest(body, context.config.limits().max_choices()));
  RETURN_IF_ERROR(ResolveModel(context.workers, chat));
  return AnswerChat(request, caller, context, std::move(chat), /*always_content=*/false,
                    std::move(out));
}

absl::Status AnswerChat(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                        TextRequest chat, bool always_content, std::shared_ptr<HttpResponder> out) {
  ReplyHead head = NewReplyHead("chatcmpl-", chat, context);
  const ChatReplyOptions options = {.num_choices = std::max(1u, chat.generate.n()),
                                    .logprobs = chat.generate.has_logprobs(),
                                    .include_usage = chat.include_usage,
                                    .always_content = always_content};
  auto format = chat.stream ? MakeChatStream(std::move(head), options)
                            : MakeChatReply(std::move(head), options);
  return AnswerGeneration(request, caller, context, std::move(chat), std::move(format),
                          std::move(out));
}

}  // namespace skein
