// One WatchLoad call: the load at once, then after each change, as fast as the watcher reads, and
// heartbeats in between if the watcher wants them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "grpcpp/alarm.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"

#include "skein/v1/workers.pb.h"
#include "worker/engine/model_host.h"

namespace skein {

// Deletes itself once it is done and its last alarm has come back; the host does not call it any
// more then.
class WatchLoadReactor final : public grpc::ServerWriteReactor<v1::WorkerLoad> {
 public:
  // A heartbeat of 0: none.
  WatchLoadReactor(ModelHost& host, uint32_t heartbeat_ms);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  void OnChange(const HostStatus& status);
  void OnAlarm();
  void SetAlarmLocked();
  void FlushLocked();

  ModelHost& host_;
  const uint32_t heartbeat_ms_;
  int64_t subscription_ = 0;

  std::mutex mu_;
  v1::WorkerLoad latest_;               // guarded by mu_
  v1::WorkerLoad in_flight_;            // guarded by mu_, but gRPC reads it while writing_
  bool changed_ = false;                // guarded by mu_; `latest_` was not sent
  bool writing_ = false;                // guarded by mu_
  bool cancelled_ = false;              // guarded by mu_
  bool finished_ = false;               // guarded by mu_
  bool done_ = false;                   // guarded by mu_; gRPC has let go
  std::unique_ptr<grpc::Alarm> alarm_;  // guarded by mu_
  bool alarm_set_ = false;              // guarded by mu_
  bool asking_host_ = false;            // guarded by mu_; OnAlarm is, and the host must stay
  std::condition_variable host_asked_;
};

}  // namespace skein
