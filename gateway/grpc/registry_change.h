// A change of what workers are conditioned with: made on every ready worker of a model.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "gateway/grpc/front_call.h"
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

// Keeps itself until gRPC is done with it. Answers with the first worker's response.
class RegistryChange final : public grpc::ServerUnaryReactor,
                             public OpenCall,
                             public std::enable_shared_from_this<RegistryChange> {
 public:
  static RegistryChange* Begin(Front& front, const RpcMethod& method,
                               grpc::CallbackServerContext& context,
                               const grpc::ByteBuffer& request, grpc::ByteBuffer& response);

  void OnCancel() override;
  void OnDone() override;

 private:
  RegistryChange(Front& front, const RpcMethod& method, grpc::CallbackServerContext& context,
                 grpc::ByteBuffer& response)
      : call_(front, method, context), response_(response) {}

  absl::Status Start(const grpc::ByteBuffer& request);
  void OnMessage(size_t index, grpc::ByteBuffer& message);
  void OnWorkerDone(size_t index, const grpc::Status& status);
  void End(const grpc::Status& status);

  FrontCall call_;
  grpc::ByteBuffer& response_;  // alive until Finish at least
  std::shared_ptr<RegistryChange> self_;
  std::vector<std::shared_ptr<ByteCall>> worker_calls_;  // constant after Begin
  grpc::Status status_;                                  // constant from End on
  std::atomic<bool> client_left_ = false;

  std::mutex mu_;
  // Guarded by mu_.
  std::vector<WorkerOutcome> outcomes_;
  size_t num_open_ = 0;
};

}  // namespace skein
