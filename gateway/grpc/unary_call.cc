#include "gateway/grpc/unary_call.h"

#include <utility>

#include "common/base/status_macros.h"
#include "gateway/rpc/client_call.h"
#include "gateway/rpc/retrying_call.h"

namespace skein {

UnaryCall::UnaryCall(Front& front, const RpcMethod& method, grpc::CallbackServerContext& context)
    : RequestReactor(context, front.uploads, UploadTimesOf(front.context.config)),
      call_(front, method, context) {}

std::shared_ptr<UnaryCall> UnaryCall::Self() {
  return std::static_pointer_cast<UnaryCall>(shared_from_this());
}

absl::StatusOr<std::string> UnaryCall::Enter() { return call_.Enter(shared_from_this()); }

absl::Status UnaryCall::Start(grpc::ByteBuffer& request) {
  ASSIGN_OR_RETURN(RequestFacts facts, call_.Admit(request));
  estimated_tokens_ = facts.tokens;
  ByteCallbacks callbacks;
  callbacks.on_message = [self = Self()](grpc::ByteBuffer& message) {
    self->call_.CountSent(message);
    self->response_.Swap(&message);
    self->answered_ = true;
    self->worker_call_->ReadNext();  // brings the end
  };
  callbacks.on_done = [self = Self()](const grpc::Status& status) { self->OnWorkerDone(status); };
  ASSIGN_OR_RETURN(worker_call_, MakeRetryingCall(call_.context().workers, std::move(facts.pick),
                                                  {call_.method().path, std::exchange(request, {})},
                                                  call_.head().options, std::move(callbacks)));
  worker_call_->Start();
  return absl::OkStatus();
}

void UnaryCall::CancelWork() { worker_call_->Cancel(); }

void UnaryCall::OnWorkerDone(const grpc::Status& status) {
  UseTokens(status);
  if (!status.ok()) {
    End(status);
  } else if (!answered_) {
    End(grpc::Status(grpc::StatusCode::INTERNAL, "the worker sent no answer"));
  } else {
    EndWith(response_);
  }
}

void UnaryCall::BeforeFinish(const grpc::Status&) { call_.Release(); }

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

void UnaryCall::Done(const grpc::Status& status, bool client_left) {
  call_.Ended(status, client_left);
}

}  // namespace skein
