// One call with one answer, passed on as bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>

#include "gateway/grpc/front_call.h"
#include "gateway/grpc/request_reactor.h"
#include "gateway/rpc/byte_call.h"

namespace skein {

class UnaryCall final : public RequestReactor {
 public:
  UnaryCall(Front& front, const RpcMethod& method, grpc::CallbackServerContext& context);

 private:
  absl::StatusOr<std::string> Enter() override;
  absl::Status Start(grpc::ByteBuffer& request) override;
  void CancelWork() override;
  void BeforeFinish(const grpc::Status& status) override;
  void Done(const grpc::Status& status, bool client_left) override;

  void OnWorkerDone(const grpc::Status& status);
  // What the limits of the caller's key count.
  void UseTokens(const grpc::Status& status);
  std::shared_ptr<UnaryCall> Self();

  FrontCall call_;
  std::shared_ptr<ByteCall> worker_call_;  // null if none was started; constant after Start
  uint64_t estimated_tokens_ = 0;          // constant after Start
  // Used by one callback of the worker's call at a time.
  bool answered_ = false;
  grpc::ByteBuffer response_;
};

}  // namespace skein
