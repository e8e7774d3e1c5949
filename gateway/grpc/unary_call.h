// One call with one answer, passed on as bytes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "gateway/grpc/front_call.h"
#include "gateway/rpc/byte_call.h"

namespace skein {

// Keeps itself until gRPC is done with it.
class UnaryCall final : public grpc::ServerUnaryReactor,
                        public OpenCall,
                        public std::enable_shared_from_this<UnaryCall> {
 public:
  static UnaryCall* Begin(Front& front, const RpcMethod& method,
                          grpc::CallbackServerContext& context, const grpc::ByteBuffer& request,
                          grpc::ByteBuffer& response);

  void OnCancel() override;
  void OnDone() override;

 private:
  UnaryCall(Front& front, const RpcMethod& method, grpc::CallbackServerContext& context,
            grpc::ByteBuffer& response)
      : call_(front, method, context), response_(response) {}

  absl::Status Start(const grpc::ByteBuffer& request);
  // What the limits of the caller's key count.
  void UseTokens(const grpc::Status& status);
  void End(const grpc::Status& status);

  FrontCall call_;
  grpc::ByteBuffer& response_;  // alive until Finish at least
  std::shared_ptr<UnaryCall> self_;
  std::shared_ptr<ByteCall> worker_call_;  // null if none was started; constant after Begin
  uint64_t estimated_tokens_ = 0;          // constant after Begin
  bool answered_ = false;                  // used by one callback of the worker's call at a time
  grpc::Status status_;                    // constant from End on
  std::atomic<bool> client_left_ = false;
};

}  // namespace skein
