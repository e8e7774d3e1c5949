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

StreamCall::StreamCall(Front& front, const RpcMethod& method, grpc::CallbackServerContext& context)
    : RequestReactor(context, front.uploads, UploadTimesOf(front.context.config)),
      call_(front, method, context),
      meter_(call_.admission()) {}

std::shared_ptr<StreamCall> StreamCall::Self() {
  return std::static_pointer_cast<StreamCall>(shared_from_this());
}

absl::StatusOr<std::string> StreamCall::Enter() { return call_.Enter(shared_from_this()); }

absl::Status StreamCall::Start(grpc::ByteBuffer& request) {
  ASSIGN_OR_RETURN(RequestFacts facts, call_.Admit(request));
  model_ = facts.pick.model;
  if (model_.empty()) {  // allowed while there is one
    const std::vector<v1::ModelInfo> models = call_.context().workers.Models();
    if (models.size() == 1) model_ = models[0].name();
  }
  call_.access().Update([this](AccessFacts& known) { known.model = model_; });
  ByteCallbacks callbacks;
  callbacks.on_message = [self = Self()](grpc::ByteBuffer& message) { self->OnMessage(message); };
  callbacks.on_done = [self = Self()](const grpc::Status& status) { self->OnWorkerDone(status); };
  ASSIGN_OR_RETURN(worker_call_, MakeRetryingCall(call_.context().workers, std::move(facts.pick),
                                                  {call_.method().path, std::exchange(request, {})},
                                                  call_.head().options, std::move(callbacks)));
  meter_.OnAsked(facts.prompt_tokens);
  worker_call_->Start();
  return absl::OkStatus();
}

void StreamCall::OnMessage(grpc::ByteBuffer& message) {
  ReleaseRequest();  // the worker has it, and no other will be asked
  if (const auto response = ParseBytes<v1::GenerateResponse>(message); response.ok()) {
    meter_.OnMessage(*response);
    RecordGeneration(*response, call_.access());
    if (!response->text().empty()) ObserveText(response->choice());
  }
  if (!Hold()) return;
  {
    const std::lock_guard<std::mutex> lock(write_mu_);
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
  const std::shared_ptr<StreamCall> keep = Self();
  {
    const std::lock_guard<std::mutex> lock(write_mu_);
    write_begin_ = absl::InfiniteFuture();
  }
  if (ok) {
    worker_call_->ReadNext();
  } else {
    worker_call_->Cancel();
  }
  Unhold();
}

void StreamCall::CancelWork() { worker_call_->Cancel(); }

void StreamCall::OnWorkerDone(const grpc::Status& status) {
  if (!status.ok()) meter_.OnFailure(static_cast<absl::StatusCode>(status.error_code()));
  End(status);
}

void StreamCall::Done(const grpc::Status& status, bool client_left) {
  call_.Ended(status, client_left);
}

// A client may hold a call open without reading: its connection lives, and flow control waits.
void StreamCall::LookAfter(absl::Time now) {
  RequestReactor::LookAfter(now);
  const absl::Duration limit = absl::Seconds(call_.context().config.limits().write_timeout_s());
  {
    const std::lock_guard<std::mutex> lock(write_mu_);
    if (now - write_begin_ < limit) return;
    write_begin_ = absl::InfiniteFuture();  // once
  }
  if (!Hold()) return;
  LogWarning("client does not read", {{"request", call_.head().options.request_id}});
  context().TryCancel();
  Unhold();
}

}  // namespace skein
