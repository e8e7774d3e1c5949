#include "gateway/grpc/unary_call.h"

#include <utility>

#include "common/base/status_macros.h"
#include "gateway/rpc/client_call.h"
#include "gateway/rpc/retrying_call.h"

namespace skein {

UnaryCall* UnaryCall::Begin(Front& front, const RpcMethod& method,
                            grpc::CallbackServerContext& context, const grpc::ByteBuffer& request,
                            grpc::ByteBuffer& response) {
  std::shared_ptr<UnaryCall> call(new UnaryCall(front, method, context, response));
  call->self_ = call;
  const absl::Status status = call->Start(request);
  if (!status.ok()) call->End(ToGrpc(status));
  return call.get();
}

absl::Status UnaryCall::Start(const grpc::ByteBuffer& request) {
  ASSIGN_OR_RETURN(RequestFacts facts, call_.Enter(shared_from_this(), request));
  estimated_tokens_ = facts.tokens;
  ByteCallbacks callbacks;
  callbacks.on_message = [self = shared_from_this()](grpc::ByteBuffer& message) {
    self->call_.CountSent(message);
    self->response_.Swap(&message);
    self->answered_ = true;
    self->worker_call_->ReadNext();  // brings the end
  };
  callbacks.on_done = [self = shared_from_this()](const grpc::Status& status) {
    const bool empty = status.ok() && !self->answered_;
    self->End(empty ? grpc::Status(grpc::StatusCode::INTERNAL, "the worker sent no answer")
                    : status);
  };
  ASSIGN_OR_RETURN(worker_call_, MakeRetryingCall(call_.context().workers, std::move(facts.pick),
                                                  {call_.method().path, request},
                                                  call_.head().options, std::move(callbacks)));
  worker_call_->Start();
  return absl::OkStatus();
}

void UnaryCall::OnCancel() {
  client_left_ = true;
  if (worker_call_ != nullptr) worker_call_->Cancel();
}

// A client that leaves before the answer has made the worker work all the same.
void UnaryCall::UseTokens(const grpc::Status& status) {
  if (call_.method().used == nullptr || worker_call_ == nullptr) return;
  if (answered_) {
    const uint64_t tokens = call_.method().used(response_);
    call_.admission().Use(tokens);
    call_.access().Update(
        [tokens](AccessFacts& facts) { facts.prompt_tokens = static_cast<int64_t>(tokens); });
  } else if (status.error_code() == grpc::StatusCode::CANCELLED ||
             status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    call_.admission().Use(estimated_tokens_);
  }
}

void UnaryCall::End(const grpc::Status& status) {
  status_ = status;
  UseTokens(status);
  call_.Release();
  Finish(status);
}

void UnaryCall::OnDone() {
  call_.Ended(status_, client_left_);
  const std::shared_ptr<UnaryCall> last = std::move(self_);
}

}  // namespace skein
