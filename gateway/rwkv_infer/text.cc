#include "gateway/rwkv_infer/text.h"

#include <utility>

#include "common/base/status_macros.h"
#include "gateway/endpoints/chat_completions.h"
#include "gateway/endpoints/completions.h"
#include "gateway/endpoints/request_body.h"
#include "gateway/endpoints/resolve_model.h"
#include "gateway/rwkv_infer/change_target.h"
#include "gateway/rwkv_infer/text_bodies.h"
#include "gateway/rwkv_infer/text_rules.h"

namespace skein {

absl::Status InferChatCompletions(const HttpRequest& request, const Caller& caller,
                                  GatewayContext& context, std::shared_ptr<HttpResponder> out) {
  ASSIGN_OR_RETURN(const boost::json::object body, ReadBody(request, context));
  ASSIGN_OR_RETURN(InferText text, ReadInferChat(body, context.config.limits().max_choices()));
  RETURN_IF_ERROR(CheckModelIsReady(context.workers));
  RETURN_IF_ERROR(ResolveModel(context.workers, text.request));
  RETURN_IF_ERROR(ApplyRules(context.workers, text));
  return AnswerChat(request, caller, context, std::move(text.request), /*always_content=*/true,
                    std::move(out));
}

absl::Status InferCompletions(const HttpRequest& request, const Caller& caller,
                              GatewayContext& context, std::shared_ptr<HttpResponder> out) {
  ASSIGN_OR_RETURN(const boost::json::object body, ReadBody(request, context));
  ASSIGN_OR_RETURN(InferText text,
                   ReadInferCompletion(body, context.config.limits().max_choices()));
  RETURN_IF_ERROR(CheckModelIsReady(context.workers));
  RETURN_IF_ERROR(ResolveModel(context.workers, text.request));
  RETURN_IF_ERROR(ApplyRules(context.workers, text));
  return AnswerCompletion(request, caller, context, std::move(text.request), std::move(out));
}

}  // namespace skein
