// A change of what workers are conditioned with: made on every ready worker of a model.
#pragma once

#include <memory>
#include <vector>

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>

#include "gateway/grpc/front_call.h"
#include "gateway/grpc/request_reactor.h"
#include "gateway/rpc/call_all.h"

namespace skein {

// Answers with the first worker's response.
class RegistryChange final : public RequestReactor {
 public:
  RegistryChange(Front& front, const RpcMethod& method, grpc::CallbackServerContext& context);

 private:
  absl::StatusOr<std::string> Enter() override;
  absl::Status Start(grpc::ByteBuffer& request) override;
  void CancelWork() override;
  void BeforeFinish(const grpc::Status& status) override;
  void Done(const grpc::Status& status, bool client_left) override;

  void OnAllDone(std::vector<WorkerOutcome>& outcomes);
  std::shared_ptr<RegistryChange> Self();

  FrontCall call_;
  std::shared_ptr<CallAll> worker_calls_;  // constant after Start
};

}  // namespace skein
