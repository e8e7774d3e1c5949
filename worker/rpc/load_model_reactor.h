// One LoadModel call: tells how far the load is, and at its end what is served.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/support/server_callback.h"

#include "skein/v1/workers.pb.h"
#include "worker/engine/model_host.h"
#include "worker/rpc/call_info.h"
#include "worker/rpc/model_requests.h"

namespace skein {

// Lives until gRPC and the host have both let go. A caller that leaves does not stop the load: it
// may have ended what ran before by then.
class LoadModelReactor final : public grpc::ServerWriteReactor<v1::LoadProgress>,
                               public std::enable_shared_from_this<LoadModelReactor> {
 public:
  static grpc::ServerWriteReactor<v1::LoadProgress>* Begin(ModelHost& host, const CallInfo& call,
                                                           const ModelRequestRules& rules,
                                                           const v1::LoadModelRequest& request);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  absl::Status Submit(ModelHost& host, const CallInfo& call, const ModelRequestRules& rules,
                      const v1::LoadModelRequest& request);
  void OnProgress(int64_t bytes_done, int64_t bytes_total);
  void OnEnd(const absl::StatusOr<std::shared_ptr<ServedModel>>& model);
  void FinishLocked(const absl::Status& status);
  void FlushLocked();

  std::shared_ptr<LoadModelReactor> self_;  // until OnDone
  std::mutex mu_;
  // All guarded by mu_:
  v1::LoadProgress latest_;
  v1::LoadProgress in_flight_;  // gRPC reads it while writing_
  bool changed_ = false;        // `latest_` was not sent
  bool writing_ = false;
  bool finished_ = false;
  std::optional<absl::Status> end_;
};

}  // namespace skein
