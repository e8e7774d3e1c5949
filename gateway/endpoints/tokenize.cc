#include "gateway/endpoints/tokenize.h"

#include <memory>
#include <string>
#include <utility>

#include "boost/json/serialize.hpp"

#include "common/base/status_macros.h"
#include "gateway/endpoints/admit_request.h"
#include "gateway/endpoints/call_options.h"
#include "gateway/endpoints/errors.h"
#include "gateway/endpoints/request_body.h"
#include "gateway/endpoints/tokenize_body.h"
#include "gateway/endpoints/worker_errors.h"
#include "gateway/rpc/inference_client.h"

namespace skein {
namespace {

namespace json = boost::json;

// For callbacks, which are copied.
absl::StatusOr<std::shared_ptr<Admission>> AdmitShared(const Caller& caller,
                                                       const GatewayContext& context,
                                                       const std::string& model,
                                                       HttpResponder& out) {
  ASSIGN_OR_RETURN(Admission admission, AdmitCall(caller, context, model, out));
  return std::make_shared<Admission>(std::move(admission));
}

}  // namespace

absl::Status Tokenize(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                      std::shared_ptr<HttpResponder> out) {
  ASSIGN_OR_RETURN(const json::object json_body, ReadBody(request, context));
  ASSIGN_OR_RETURN(TokenizeBody body, ReadTokenizeBody(json_body));
  ASSIGN_OR_RETURN(const CallOptions options, MakeCallOptions(request, context));
  request.access->Update([&body](AccessFacts& facts) { facts.model = body.request.model(); });
  ASSIGN_OR_RETURN(auto admission, AdmitShared(caller, context, body.request.model(), *out));
  const char* prompt_field = body.request.prompt().has_chat() ? "messages" : "prompt";
  const v1::TokenizeRequest call_request = body.request;
  return FromPick(StartTokenize(
      context.workers, call_request, options,
      [body = std::move(body), prompt_field, out = std::move(out), admission = std::move(admission),
       request_id = request.request_id](const absl::StatusOr<v1::TokenizeResponse>& response) {
        *admission = Admission();
        if (!response.ok()) {
          out->Send(ErrorResponse(FromWorker(response.status(), prompt_field), request_id));
          return;
        }
        out->Send({.body = TokenizeReply(body, *response), .headers = {}});
      }));
}

absl::Status Detokenize(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                        std::shared_ptr<HttpResponder> out) {
  ASSIGN_OR_RETURN(const json::object json_body, ReadBody(request, context));
  ASSIGN_OR_RETURN(const v1::DetokenizeRequest body, ReadDetokenizeBody(json_body));
  ASSIGN_OR_RETURN(const CallOptions options, MakeCallOptions(request, context));
  request.access->Update([&body](AccessFacts& facts) { facts.model = body.model(); });
  ASSIGN_OR_RETURN(auto admission, AdmitShared(caller, context, body.model(), *out));
  return FromPick(StartDetokenize(
      context.workers, body, options,
      [model = body.model(), out = std::move(out), admission = std::move(admission),
       request_id = request.request_id](const absl::StatusOr<v1::DetokenizeResponse>& response) {
        *admission = Admission();
        if (!response.ok()) {
          out->Send(ErrorResponse(FromWorker(response.status(), "tokens"), request_id));
          return;
        }
        const json::object reply = {{"model", model}, {"text", response->text()}};
        out->Send({.body = json::serialize(reply), .headers = {}});
      }));
}

}  // namespace skein
