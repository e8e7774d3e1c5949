#include "worker/rpc/score_reactor.h"

#include <utility>

#include "common/base/status_macros.h"
#include "worker/rpc/call_info.h"
#include "worker/rpc/generate_conversion.h"
#include "worker/rpc/grpc_status.h"
#include "worker/rpc/response_conversion.h"

namespace skein {

grpc::ServerUnaryReactor* ScoreReactor::Begin(ModelHost& host, grpc::CallbackServerContext& context,
                                              const v1::ScoreRequest& request,
                                              v1::ScoreResponse& response) {
  std::shared_ptr<ScoreReactor> reactor(new ScoreReactor(response));
  reactor->self_ = reactor;
  const absl::Status status = reactor->Submit(host, context, request);
  if (!status.ok()) {
    host.CountRefused(status);
    reactor->Finish(ToGrpcStatus(status));
  }
  return reactor.get();
}

absl::Status ScoreReactor::Submit(ModelHost& host, grpc::CallbackServerContext& context,
                                  const v1::ScoreRequest& request) {
  const CallInfo call = BeginCall(context);
  ASSIGN_OR_RETURN(model_, host.Find(request.model()));
  RETURN_IF_ERROR(model_->loop->CheckRoom());
  ASSIGN_OR_RETURN(GenerationRequest engine, ConvertScore(request, model_->profile));
  engine.request_id = call.request_id;
  engine.deadline = call.deadline;
  engine.sink = self_;
  ASSIGN_OR_RETURN(request_, model_->loop->Submit(std::move(engine)));
  return absl::OkStatus();
}

void ScoreReactor::Start(const StartInfo& info) {
  for (const TokenOutput& token : info.prompt) {
    ConvertTokenOutput(token, model_->profile.text.tokenizer.get(), response_.add_tokens());
  }
}

void ScoreReactor::Write(OutputChunk) {}

void ScoreReactor::End(const absl::Status& status, const RequestUsage&) {
  Finish(ToGrpcStatus(status));
}

void ScoreReactor::OnCancel() {
  if (request_) model_->loop->Cancel(*request_);
}

void ScoreReactor::OnDone() {
  model_.reset();
  const std::shared_ptr<ScoreReactor> last = std::move(self_);
}

}  // namespace skein
