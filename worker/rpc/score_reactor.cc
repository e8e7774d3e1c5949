#include "worker/rpc/score_reactor.h"

#include <utility>

#include "common/base/status_macros.h"
#include "worker/rpc/call_log.h"
#include "worker/rpc/generate_conversion.h"
#include "worker/rpc/grpc_status.h"
#include "worker/rpc/response_conversion.h"

namespace skein {

grpc::ServerUnaryReactor* ScoreReactor::Begin(ModelHost& host, CallInfo call,
                                              const v1::ScoreRequest& request,
                                              v1::ScoreResponse& response) {
  std::shared_ptr<ScoreReactor> reactor(new ScoreReactor(host, std::move(call), response));
  reactor->self_ = reactor;
  const absl::Status status = reactor->Submit(host, request);
  if (!status.ok()) {
    host.CountRefused(status);
    reactor->FinishWith(status, RequestUsage());
  }
  return reactor.get();
}

absl::Status ScoreReactor::Submit(ModelHost& host, const v1::ScoreRequest& request) {
  ASSIGN_OR_RETURN(model_, host.Find(request.model()));
  RETURN_IF_ERROR(model_->loop->CheckRoom());
  ASSIGN_OR_RETURN(GenerationRequest engine,
                   ConvertScore(request, model_->profile, *model_->registry));
  engine.request_id = call_.request_id;
  engine.deadline = call_.deadline;
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

void ScoreReactor::End(const absl::Status& status, const RequestUsage& usage) {
  FinishWith(status, usage);
}

void ScoreReactor::FinishWith(const absl::Status& status, const RequestUsage& usage) {
  LogCall(call_, {.method = "Score",
                  .model = model_name_,
                  .status = status,
                  .usage = usage,
                  .finish = std::nullopt});
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
