#include "worker/rpc/watch_load_reactor.h"

#include <algorithm>
#include <chrono>

#include "absl/time/time.h"

#include "worker/rpc/response_conversion.h"

namespace skein {
namespace {

constexpr uint32_t kMinHeartbeatMs = 50;

}  // namespace

WatchLoadReactor::WatchLoadReactor(ModelHost& host, uint32_t heartbeat_ms)
    : host_(host), heartbeat_ms_(heartbeat_ms == 0 ? 0 : std::max(heartbeat_ms, kMinHeartbeatMs)) {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (heartbeat_ms_ > 0) SetAlarmLocked();
  }
  subscription_ = host_.Subscribe([this](const HostStatus& status) { OnChange(status); });
}

void WatchLoadReactor::OnChange(const HostStatus& status) {
  const std::lock_guard<std::mutex> lock(mu_);
  latest_ = ConvertLoad(status);
  latest_.set_heartbeat_ms(heartbeat_ms_);
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
    std::unique_lock<std::mutex> lock(mu_);
    done_ = true;
    host_asked_.wait(lock, [this] { return !asking_host_; });
    if (alarm_set_) {
      alarm_->Cancel();  // OnAlarm comes on another thread, and deletes
      return;
    }
  }
  delete this;
}

void WatchLoadReactor::OnAlarm() {
  bool last = false;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    alarm_set_ = false;
    last = done_;
    asking_host_ = !done_;
  }
  if (last) {
    delete this;
    return;
  }
  // Without the lock: the host calls OnChange with its own.
  const absl::Duration stalled = host_.StalledFor();
  const std::lock_guard<std::mutex> lock(mu_);
  asking_host_ = false;
  host_asked_.notify_all();
  if (done_) return;  // OnDone waits for this, and deletes
  latest_.set_stalled_ms(static_cast<uint32_t>(
      absl::ToInt64Milliseconds(std::clamp(stalled, absl::ZeroDuration(), absl::Hours(24)))));
  changed_ = true;
  FlushLocked();
  if (!finished_) SetAlarmLocked();
}

// A new alarm each time: one cannot be set while it runs its callback.
void WatchLoadReactor::SetAlarmLocked() {
  alarm_set_ = true;
  alarm_ = std::make_unique<grpc::Alarm>();
  alarm_->Set(std::chrono::system_clock::now() + std::chrono::milliseconds(heartbeat_ms_),
              [this](bool) { OnAlarm(); });
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
