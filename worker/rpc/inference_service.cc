#include "worker/rpc/inference_service.h"

#include <memory>
#include <utility>

#include "absl/status/statusor.h"

#include "worker/rpc/call_info.h"
#include "worker/rpc/generate_reactor.h"
#include "worker/rpc/grpc_status.h"
#include "worker/rpc/score_reactor.h"
#include "worker/rpc/text_calls.h"

namespace skein {
namespace {

// A call that is answered at once from what is known of the model.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* AnswerAtOnce(ModelHost& host, grpc::CallbackServerContext& context,
                                       const Request& request, Response& response,
                                       absl::StatusOr<Response> (*answer)(const Request&,
                                                                          const ModelProfile&)) {
  BeginCall(context);
  absl::Status status;
  if (const absl::StatusOr<std::shared_ptr<ServedModel>> model = host.Find(request.model());
      model.ok()) {
    absl::StatusOr<Response> answered = answer(request, (*model)->profile);
    status = answered.status();
    if (answered.ok()) response = *std::move(answered);
  } else {
    status = model.status();
  }
  grpc::ServerUnaryReactor* reactor = context.DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

}  // namespace

grpc::ServerWriteReactor<v1::GenerateResponse>* InferenceServiceImpl::Generate(
    grpc::CallbackServerContext* context, const v1::GenerateRequest* request) {
  CallInfo call = BeginCall(*context);
  call.log = access_log_;
  return GenerateReactor::Begin(host_, std::move(call), *request);
}

grpc::ServerUnaryReactor* InferenceServiceImpl::Score(grpc::CallbackServerContext* context,
                                                      const v1::ScoreRequest* request,
                                                      v1::ScoreResponse* response) {
  CallInfo call = BeginCall(*context);
  call.log = access_log_;
  return ScoreReactor::Begin(host_, std::move(call), *request, *response);
}

grpc::ServerUnaryReactor* InferenceServiceImpl::Tokenize(grpc::CallbackServerContext* context,
                                                         const v1::TokenizeRequest* request,
                                                         v1::TokenizeResponse* response) {
  return AnswerAtOnce(host_, *context, *request, *response, &skein::Tokenize);
}

grpc::ServerUnaryReactor* InferenceServiceImpl::Detokenize(grpc::CallbackServerContext* context,
                                                           const v1::DetokenizeRequest* request,
                                                           v1::DetokenizeResponse* response) {
  return AnswerAtOnce(host_, *context, *request, *response, &skein::Detokenize);
}

}  // namespace skein
