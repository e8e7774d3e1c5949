#include "gateway/grpc/registry_change.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "gateway/rpc/client_call.h"

namespace skein {
namespace {

std::string Describe(const WorkerOutcome& outcome) {
  if (outcome.status.ok()) return absl::StrCat(outcome.worker, " took it");
  return absl::StrCat(
      outcome.worker, " did not: ",
      absl::StatusCodeToString(static_cast<absl::StatusCode>(outcome.status.error_code())), ", ",
      outcome.status.error_message());
}

}  // namespace

grpc::Status SumUp(const std::vector<WorkerOutcome>& outcomes) {
  const auto taken = [](const WorkerOutcome& outcome) { return outcome.status.ok(); };
  if (std::all_of(outcomes.begin(), outcomes.end(), taken)) return grpc::Status::OK;
  if (outcomes.size() == 1) return outcomes[0].status;
  const grpc::StatusCode first_code = outcomes[0].status.error_code();
  const bool one_code = std::all_of(
      outcomes.begin(), outcomes.end(),
      [&](const WorkerOutcome& outcome) { return outcome.status.error_code() == first_code; });
  const std::string who =
      absl::StrJoin(outcomes, "; ", [](std::string* out, const WorkerOutcome& outcome) {
        absl::StrAppend(out, Describe(outcome));
      });
  return grpc::Status(one_code ? first_code : grpc::StatusCode::ABORTED,
                      absl::StrCat("not on every worker: ", who));
}

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
  for (const WorkerHandle& worker : workers) outcomes_.push_back({worker.address, {}});
  num_open_ = workers.size();
  for (size_t i = 0; i < workers.size(); ++i) {
    ByteCallbacks callbacks;
    callbacks.on_message = [self = Self(), i](grpc::ByteBuffer& message) {
      self->OnMessage(i, message);
    };
    callbacks.on_done = [self = Self(), i](const grpc::Status& status) {
      self->OnWorkerDone(i, status);
    };
    worker_calls_.push_back(MakeByteCall(workers[i], {call_.method().path, request},
                                         call_.head().options, std::move(callbacks)));
  }
  for (const std::shared_ptr<ByteCall>& call : worker_calls_) call->Start();
  return absl::OkStatus();
}

void RegistryChange::OnMessage(size_t index, grpc::ByteBuffer& message) {
  if (index == 0) {
    call_.CountSent(message);
    response_.Swap(&message);
  }
  worker_calls_[index]->ReadNext();  // brings the end
}

void RegistryChange::OnWorkerDone(size_t index, const grpc::Status& status) {
  std::vector<WorkerOutcome> outcomes;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    outcomes_[index].status = status;
    if (--num_open_ > 0) return;
    outcomes = outcomes_;
  }
  const grpc::Status sum = SumUp(outcomes);
  if (sum.ok()) {
    EndWith(response_);
  } else {
    End(sum);
  }
}

// Workers that have taken the change keep it.
void RegistryChange::CancelWork() {
  for (const std::shared_ptr<ByteCall>& call : worker_calls_) call->Cancel();
}

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
