// One generation: from a worker to the client as bytes, at the client's pace. Messages are looked
// into for what they count, and not changed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "gateway/access/token_estimate.h"
#include "gateway/grpc/front_call.h"
#include "gateway/rpc/byte_call.h"

namespace skein {

// Keeps itself until gRPC is done with it.
class StreamCall final : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                         public OpenCall,
                         public std::enable_shared_from_this<StreamCall> {
 public:
  static StreamCall* Begin(Front& front, const RpcMethod& method,
                           grpc::CallbackServerContext& context, const grpc::ByteBuffer& request);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;
  void LookAfter(absl::Time now) override;

 private:
  StreamCall(Front& front, const RpcMethod& method, grpc::CallbackServerContext& context)
      : call_(front, method, context), meter_(call_.admission()), context_(context) {}

  absl::Status Start(const grpc::ByteBuffer& request);
  // The worker's side.
  void OnMessage(grpc::ByteBuffer& message);
  void OnEnd(const grpc::Status& status);
  void ObserveText(uint32_t choice);

  // Finishes if nothing stands against it. Not to be called with the lock.
  void FinishIfDue();

  FrontCall call_;
  std::string model_;  // constant after Begin
  // Used by one callback of the worker's call at a time.
  std::optional<GatewayMetrics::Latencies> latencies_;  // since the first text
  std::map<uint32_t, absl::Time> last_text_;            // by choice
  TokenMeter meter_;                      // used by one callback of the worker's call at a time
  grpc::CallbackServerContext& context_;  // alive until Finish at least
  std::shared_ptr<StreamCall> self_;
  std::shared_ptr<ByteCall> worker_call_;  // null if none was started; constant after Begin
  grpc::ByteBuffer message_;               // being written

  // Not held while gRPC is called: it may run callbacks within.
  std::mutex mu_;
  // Guarded by mu_.
  bool writing_ = false;
  absl::Time write_begin_;
  bool cancelling_ = false;  // LookAfter uses context_
  bool client_left_ = false;
  bool ended_ = false;  // with status_
  bool finished_ = false;
  grpc::Status status_;
};

}  // namespace skein
