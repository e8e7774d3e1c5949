// One WatchLoad call: the load at once, then after each change, as fast as the watcher reads.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"

#include "skein/v1/workers.pb.h"
#include "worker/engine/model_host.h"

namespace skein {

// Deletes itself in OnDone, after which the host does not call it any more.
class WatchLoadReactor final : public grpc::ServerWriteReactor<v1::WorkerLoad> {
 public:
  explicit WatchLoadReactor(ModelHost& host);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  void OnChange(const HostStatus& status);
  void FlushLocked();

  ModelHost& host_;
  int64_t subscription_ = 0;

  std::mutex mu_;
  v1::WorkerLoad latest_;     // guarded by mu_
  v1::WorkerLoad in_flight_;  // guarded by mu_, but gRPC reads it while writing_
  bool changed_ = false;      // guarded by mu_; `latest_` was not sent
  bool writing_ = false;      // guarded by mu_
  bool cancelled_ = false;    // guarded by mu_
  bool finished_ = false;     // guarded by mu_
};

}  // namespace skein
