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

#include "gateway/access/token_estimate.h"
#include "gateway/grpc/front_call.h"
#include "gateway/grpc/request_reactor.h"
#include "gateway/rpc/byte_call.h"

namespace skein {

class StreamCall final : public RequestReactor {
 public:
  StreamCall(Front& front, const RpcMethod& method, grpc::CallbackServerContext& context);

  void OnWriteDone(bool ok) override;
  void LookAfter(absl::Time now) override;

 private:
  absl::StatusOr<std::string> Enter() override;
  absl::Status Start(grpc::ByteBuffer& request) override;
  void CancelWork() override;
  void BeforeFinish(const grpc::Status&) override { call_.Release(); }
  void Done(const grpc::Status& status, bool client_left) override;

  // The worker's side.
  void OnMessage(grpc::ByteBuffer& message);
  void OnWorkerDone(const grpc::Status& status);
  void ObserveText(uint32_t choice);

  std::shared_ptr<StreamCall> Self();

  FrontCall call_;
  std::string model_;  // constant after Start
  // Used by one callback of the worker's call at a time.
  std::optional<GatewayMetrics::Latencies> latencies_;  // since the first text
  std::map<uint32_t, absl::Time> last_text_;            // by choice
  TokenMeter meter_;
  std::shared_ptr<ByteCall> worker_call_;  // null if none was started; constant after Start
  grpc::ByteBuffer message_;               // being written

  std::mutex write_mu_;
  absl::Time write_begin_ = absl::InfiniteFuture();  // guarded by write_mu_; future: nothing is
};

}  // namespace skein
