#include "worker/rpc/watch_load_reactor.h"

#include "worker/rpc/response_conversion.h"

namespace skein {

WatchLoadReactor::WatchLoadReactor(ModelHost& host) : host_(host) {
  subscription_ = host_.Subscribe([this](const HostStatus& status) { OnChange(status); });
}

void WatchLoadReactor::OnChange(const HostStatus& status) {
  const std::lock_guard<std::mutex> lock(mu_);
  latest_ = ConvertLoad(host_.name(), status);
  changed_ = true;
  FlushLocked();
}

void WatchLoadReactor::OnWriteDone(bool) {
  // A failed write needs no care: OnCancel comes too.
  const std::lock_guard<std::mutex> lock(mu_);
  writing_ = false;
  FlushLocked();
}

void WatchLoadReactor::OnCancel() {
  const std::lock_guard<std::mutex> lock(mu_);
  cancelled_ = true;
  FlushLocked();
}

void WatchLoadReactor::OnDone() {
  host_.Unsubscribe(subscription_);
  {
    // Whoever called Finish may still hold the lock.
    const std::lock_guard<std::mutex> lock(mu_);
  }
  delete this;
}

void WatchLoadReactor::FlushLocked() {
  if (writing_ || finished_) return;
  if (cancelled_) {
    finished_ = true;
    Finish(grpc::Status::CANCELLED);
    return;
  }
  if (!changed_) return;
  changed_ = false;
  writing_ = true;
  in_flight_ = latest_;
  StartWrite(&in_flight_);
}

}  // namespace skein
