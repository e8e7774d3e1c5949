#include "gateway/grpc/registry_change.h"

#include <utility>

#include "absl/status/statusor.h"

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "gateway/rpc/client_call.h"

namespace skein {

RegistryChange::RegistryChange(Front& front, const RpcMethod& method,
                               grpc::CallbackServerContext& context)
    : RequestReactor(context, front.uploads, UploadTimesOf(front.context.config)),
      call_(front, method, context) {}

std::shared_ptr<RegistryChange> RegistryChange::Self() {
  return std::static_pointer_cast<RegistryChange>(shared_from_this());
}

absl::StatusOr<std::string> RegistryChange::Enter() { return call_.Enter(shared_from_this()); }

absl::Status RegistryChange::Start(grpc::ByteBuffer& request) {
  ASSIGN_OR_RETURN(const RequestFacts facts, call_.Admit(request));
  ASSIGN_OR_RETURN(const std::vector<WorkerHandle> workers,
                   call_.context().workers.PickAll(facts.pick.model));
  worker_calls_ = std::make_shared<CallAll>(
      call_.context().workers, workers,
      [self = Self()](std::vector<WorkerOutcome>& outcomes) { self->OnAllDone(outcomes); });
  worker_calls_->Start({call_.method().path, request}, call_.head().options);
  return absl::OkStatus();
}

void RegistryChange::OnAllDone(std::vector<WorkerOutcome>& outcomes) {
  const grpc::Status status = SumUp(outcomes);
  if (!status.ok()) return End(status);
  call_.CountSent(outcomes[0].answer);
  EndWith(outcomes[0].answer);
}

// Workers that have taken the change keep it.
void RegistryChange::CancelWork() { worker_calls_->Cancel(); }

void RegistryChange::BeforeFinish(const grpc::Status& status) {
  LogInfo("registry change", {{"request", call_.head().options.request_id},
                              {"method", call_.method().path},
                              {"outcome", absl::StatusCodeToString(FromGrpc(status).code())}});
  call_.Release();
}

void RegistryChange::Done(const grpc::Status& status, bool client_left) {
  call_.Ended(status, client_left);
}

}  // namespace skein
