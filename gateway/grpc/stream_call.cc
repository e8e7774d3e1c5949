#include "gateway/grpc/stream_call.h"

#include <utility>
#include <vector>

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "gateway/endpoints/record_generation.h"
#include "gateway/rpc/byte_messages.h"
#include "gateway/rpc/client_call.h"
#include "gateway/rpc/retrying_call.h"

namespace skein {

StreamCall* StreamCall::Begin(Front& front, const RpcMethod& method,
                              grpc::CallbackServerContext& context,
                              const grpc::ByteBuffer& request) {
  std::shared_ptr<StreamCall> call(new StreamCall(front, method, context));
  call->self_ = call;
  const absl::Status status = call->Start(request);
  if (!status.ok()) call->OnEnd(ToGrpc(status));
  return call.get();
}

absl::Status StreamCall::Start(const grpc::ByteBuffer& request) {
  ASSIGN_OR_RETURN(RequestFacts facts, call_.Enter(shared_from_this(), request));
  model_ = facts.pick.model;
  if (model_.empty()) {  // allowed while there is one
    const std::vector<v1::ModelInfo> models = call_.context().workers.Models();
    if (models.size() == 1) model_ = models[0].name();
  }
  call_.access().Update([this](AccessFacts& known) { known.model = model_; });
  ByteCallbacks callbacks;
  callbacks.on_message = [self = shared_from_this()](grpc::ByteBuffer& message) {
    self->OnMessage(message);
  };
  callbacks.on_done = [self = shared_from_this()](const grpc::Status& status) {
    self->OnEnd(status);
  };
  ASSIGN_OR_RETURN(worker_call_, MakeRetryingCall(call_.context().workers, std::move(facts.pick),
                                                  {call_.method().path, request},
                                                  call_.head().options, std::move(callbacks)));
  meter_.OnAsked(facts.prompt_tokens);
  worker_call_->Start();
  return absl::OkStatus();
}

void StreamCall::OnMessage(grpc::ByteBuffer& message) {
  if (const auto response = ParseBytes<v1::GenerateResponse>(message); response.ok()) {
    meter_.OnMessage(*response);
    RecordGeneration(*response, call_.access());
    if (!response->text().empty()) ObserveText(response->choice());
  }
  {
    const std::lock_guard<std::mutex> lock(mu_);
    writing_ = true;
    write_begin_ = call_.context().clock.Steady();
  }
  call_.CountSent(message);
  message_.Swap(&message);
  StartWrite(&message_);
}

void StreamCall::ObserveText(uint32_t choice) {
  const absl::Time now = call_.context().clock.Now();
  if (!latencies_.has_value()) {
    latencies_.emplace(call_.context().metrics.LatenciesOf(model_));
    const absl::Duration first = now - call_.received();
    latencies_->first_token_seconds.Observe(absl::ToDoubleSeconds(first));
    call_.access().Update([first](AccessFacts& facts) { facts.first_token = first; });
  }
  const auto [last, is_first] = last_text_.try_emplace(choice, now);
  if (is_first) return;
  latencies_->inter_token_seconds.Observe(absl::ToDoubleSeconds(now - last->second));
  last->second = now;
}

void StreamCall::OnWriteDone(bool ok) {
  const std::shared_ptr<StreamCall> keep = shared_from_this();
  {
    const std::lock_guard<std::mutex> lock(mu_);
    writing_ = false;
  }
  if (ok) {
    worker_call_->ReadNext();
  } else {
    worker_call_->Cancel();
  }
  FinishIfDue();
}

void StreamCall::OnCancel() {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    client_left_ = true;
  }
  if (worker_call_ != nullptr) worker_call_->Cancel();
}

void StreamCall::OnEnd(const grpc::Status& status) {
  if (!status.ok()) meter_.OnFailure(static_cast<absl::StatusCode>(status.error_code()));
  {
    const std::lock_guard<std::mutex> lock(mu_);
    ended_ = true;
    status_ = status;
  }
  FinishIfDue();
}

void StreamCall::FinishIfDue() {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (!ended_ || writing_ || cancelling_ || finished_) return;
    finished_ = true;
  }
  call_.Release();
  Finish(status_);
}

void StreamCall::OnDone() {
  call_.Ended(status_, client_left_);
  const std::shared_ptr<StreamCall> last = std::move(self_);
}

// A client may hold a call open without reading: its connection lives, and flow control waits.
void StreamCall::LookAfter(absl::Time now) {
  const absl::Duration limit = absl::Seconds(call_.context().config.limits().write_timeout_s());
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (!writing_ || finished_ || client_left_ || now - write_begin_ < limit) return;
    cancelling_ = true;  // the context stays
  }
  LogWarning("client does not read", {{"request", call_.head().options.request_id}});
  context_.TryCancel();
  {
    const std::lock_guard<std::mutex> lock(mu_);
    cancelling_ = false;
  }
  FinishIfDue();
}

}  // namespace skein
