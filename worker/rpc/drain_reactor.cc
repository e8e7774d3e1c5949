#include "worker/rpc/drain_reactor.h"

#include "common/base/log.h"
#include "worker/rpc/grpc_status.h"

namespace skein {

DrainReactor::DrainReactor(ModelHost& host) : host_(host) {
  LogInfo("draining", {{"model", host_.name()}});
  host_.Drain();
  subscription_ = host_.Subscribe([this](const HostStatus& status) {
    if (status.state == ModelState::kGone) FinishOnce(absl::OkStatus());
  });
}

void DrainReactor::OnCancel() { FinishOnce(absl::CancelledError("the caller has left")); }

void DrainReactor::OnDone() {
  host_.Unsubscribe(subscription_);
  {
    // Whoever called Finish may still hold the lock.
    const std::lock_guard<std::mutex> lock(mu_);
  }
  delete this;
}

void DrainReactor::FinishOnce(const absl::Status& status) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (finished_) return;
  finished_ = true;
  Finish(ToGrpcStatus(status));
}

}  // namespace skein
