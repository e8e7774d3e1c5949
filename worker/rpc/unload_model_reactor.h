// One UnloadModel call: answers when the model's memory is free.
#pragma once

#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "grpcpp/support/server_callback.h"

#include "skein/v1/workers.pb.h"
#include "worker/engine/model_host.h"
#include "worker/rpc/call_info.h"
#include "worker/rpc/model_requests.h"

namespace skein {

// Lives until gRPC and the host have both let go. A caller that leaves does not stop it.
class UnloadModelReactor final : public grpc::ServerUnaryReactor,
                                 public std::enable_shared_from_this<UnloadModelReactor> {
 public:
  static grpc::ServerUnaryReactor* Begin(ModelHost& host, const CallInfo& call,
                                         const ModelRequestRules& rules,
                                         const v1::UnloadModelRequest& request);

  void OnCancel() override;
  void OnDone() override;

 private:
  void FinishOnce(const absl::Status& status);

  std::shared_ptr<UnloadModelReactor> self_;  // until OnDone
  std::mutex mu_;
  bool finished_ = false;  // guarded by mu_
};

}  // namespace skein
