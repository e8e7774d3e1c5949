#include "gateway/endpoints/tokenize.h"

#include <memory>
#include <string>
#include <utility>

#include "boost/json/serialize.hpp"

#include "common/base/status_macros.h"
#include "gateway/endpoints/admit_request.h"
#include "gateway/endpoints/errors.h"
#include "gateway/endpoints/generation_run.h"
#include "gateway/endpoints/request_body.h"
#include "gateway/endpoints/tokenize_body.h"
#include "gateway/endpoints/worker_errors.h"
#include "gateway/rpc/inference_client.h"

namespace skein {
namespace {

namespace json = boost::json;

absl::StatusOr<WorkerHandle> PickWorker(const HttpRequest& request, GatewayContext& context,
                                        const std::string& model) {
  request.access->Update([&model](AccessFacts& facts) { facts.model = model; });
  auto worker = context.workers.Pick({.model = model, .sequences = 0});
  if (!worker.ok()) return FromPick(worker.status());
  return worker;
}

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
  ASSIGN_OR_RETURN(auto admission, AdmitShared(caller, context, body.request.model(), *out));
  ASSIGN_OR_RETURN(const WorkerHandle worker, PickWorker(request, context, body.request.model()));
  const char* prompt_field = body.request.prompt().has_chat() ? "messages" : "prompt";
  v1::TokenizeRequest call_request = body.request;
  StartTokenize(
      worker, std::move(call_request), options,
      [body = std::move(body), prompt_field, out = std::move(out), admission = std::move(admission),
       request_id = request.request_id](const absl::StatusOr<v1::TokenizeResponse>& response) {
        *admission = Admission();
        if (!response.ok()) {
          out->Send(ErrorResponse(FromWorker(response.status(), prompt_field), request_id));
          return;
        }
        out->Send({.body = TokenizeReply(body, *response), .headers = {}});
      });
  return absl::OkStatus();
}

absl::Status Detokenize(const HttpRequest& request, const Caller& caller, GatewayContext& context,
                        std::shared_ptr<HttpResponder> out) {
  ASSIGN_OR_RETURN(const json::object json_body, ReadBody(request, context));
  ASSIGN_OR_RETURN(v1::DetokenizeRequest body, ReadDetokenizeBody(json_body));
  ASSIGN_OR_RETURN(const CallOptions options, MakeCallOptions(request, context));
  ASSIGN_OR_RETURN(auto admission, AdmitShared(caller, context, body.model(), *out));
  ASSIGN_OR_RETURN(const WorkerHandle worker, PickWorker(request, context, body.model()));
  const std::string model = body.model();
  StartDetokenize(
      worker, std::move(body), options,
      [model, out = std::move(out), admission = std::move(admission),
       request_id = request.request_id](const absl::StatusOr<v1::DetokenizeResponse>& response) {
        *admission = Admission();
        if (!response.ok()) {
          out->Send(ErrorResponse(FromWorker(response.status(), "tokens"), request_id));
          return;
        }
        const json::object reply = {{"model", model}, {"text", response->text()}};
        out->Send({.body = json::serialize(reply), .headers = {}});
      });
  return absl::OkStatus();
}

}  // namespace skein
