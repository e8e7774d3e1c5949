// A change of what workers are conditioned with: made on every ready worker of a model.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>

#include "gateway/grpc/front_call.h"
#include "gateway/grpc/request_reactor.h"
#include "gateway/rpc/byte_call.h"

namespace skein {

// What one worker made of the change.
struct WorkerOutcome {
  std::string worker;
  grpc::Status status;
};

// OK if all took it. If all refused it with one code, that code; if some took it, Aborted. The
// message says who did what, except that one worker's own status stays as it is.
grpc::Status SumUp(const std::vector<WorkerOutcome>& outcomes);

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

  void OnMessage(size_t index, grpc::ByteBuffer& message);
  void OnWorkerDone(size_t index, const grpc::Status& status);
  std::shared_ptr<RegistryChange> Self();

  FrontCall call_;
  std::vector<std::shared_ptr<ByteCall>> worker_calls_;  // constant after Start
  grpc::ByteBuffer response_;  // used by the first worker's callbacks, then by the last one

  std::mutex mu_;
  // Guarded by mu_.
  std::vector<WorkerOutcome> outcomes_;
  size_t num_open_ = 0;
};

}  // namespace skein
