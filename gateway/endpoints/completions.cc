#include "gateway/endpoints/completions.h"

#include <algorithm>
#include <utility>

#include "common/base/status_macros.h"
#include "gateway/endpoints/completion_request.h"
#include "gateway/endpoints/completion_response.h"
#include "gateway/endpoints/generation_run.h"
#include "gateway/endpoints/request_body.h"
#include "gateway/endpoints/resolve_model.h"

namespace skein {

absl::Status Completions(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                         std::shared_ptr<HttpResponder> out) {
  ASSIGN_OR_RETURN(const boost::json::object body, ReadBody(request, context));
  ASSIGN_OR_RETURN(TextRequest text,
                   ReadCompletionRequest(body, context.config.limits().max_choices()));
  RETURN_IF_ERROR(ResolveModel(context.workers, text));
  return AnswerCompletion(request, caller, context, std::move(text), std::move(out));
}

absl::Status AnswerCompletion(const HttpRequest& request, const Caller& caller,
                              GatewayContext& context, TextRequest text,
                              std::shared_ptr<HttpResponder> out) {
  ReplyHead head = NewReplyHead("cmpl-", text, context);
  const CompletionReplyOptions options = {.num_prompts = text.prompts.size(),
                                          .choices_per_prompt = std::max(1u, text.generate.n()),
                                          .logprobs = text.generate.has_logprobs(),
                                          .include_usage = text.include_usage};
  auto format = text.stream ? MakeCompletionStream(std::move(head), options)
                            : MakeCompletionReply(std::move(head), options);
  return AnswerGeneration(request, caller, context, std::move(text), std::move(format),
                          std::move(out));
}

}  // namespace skein
