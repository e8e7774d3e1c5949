// One Drain call: no new work from now on; answers when nothing runs any more.
#pragma once

#include <cstdint>
#include <mutex>

#include "absl/status/status.h"
#include "grpcpp/support/server_callback.h"

#include "worker/engine/model_host.h"

namespace skein {

// Deletes itself in OnDone, after which the host does not call it any more.
class DrainReactor final : public grpc::ServerUnaryReactor {
 public:
  explicit DrainReactor(ModelHost& host);

  void OnCancel() override;  // the draining goes on
  void OnDone() override;

 private:
  void FinishOnce(const absl::Status& status);

  ModelHost& host_;
  int64_t subscription_ = 0;
  std::mutex mu_;
  bool finished_ = false;  // guarded by mu_
};

}  // namespace skein
