// What all calls of clients have in common on their way through the gateway.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include "gateway/access/access_control.h"
#include "gateway/endpoints/gateway_context.h"
#include "gateway/grpc/call_head.h"
#include "gateway/grpc/methods.h"
#include "gateway/grpc/open_calls.h"
#include "gateway/grpc/request_reactor.h"
#include "gateway/http/access_record.h"

namespace skein {

// What calls are begun with; outlives them.
struct Front {
  GatewayContext& context;
  OpenCalls& open_calls;
  Uploads uploads;
};

// How long a request may be on its way.
UploadTimes UploadTimesOf(const config::v1::GatewayConfig& config);

// The accounts of one call: who it is, that it is open, and how it ended.
class FrontCall {
 public:
  FrontCall(Front& front, const RpcMethod& method, grpc::CallbackServerContext& context);

  // Whose call it is, by what came before its request: the key's name, or nothing without keys.
  // Errors of AccessControl; Unavailable while the gateway drains or has too many calls. Once;
  // `call` leaves in Ended.
  absl::StatusOr<std::string> Enter(const std::shared_ptr<OpenCall>& call);
  // What `request` asks for, if it may run: InvalidArgument for what is no request, errors of
  // AccessControl. Once, after Enter. Adds to the answer's initial metadata.
  absl::StatusOr<RequestFacts> Admit(const grpc::ByteBuffer& request);
  // Of the caller's limits; good between Admit and Release.
  const Admission& admission() const { return admission_; }
  // Before the client learns of the end: its next request may come at once.
  void Release() { admission_ = Admission(); }
  // When the answer is complete. `client_left`: before the end.
  void Ended(const grpc::Status& status, bool client_left);

  GatewayContext& context() { return front_.context; }
  const RpcMethod& method() const { return method_; }
  const CallHead& head() const { return head_; }
  absl::Time received() const { return received_; }  // the whole request
  AccessRecord& access() { return *access_; }
  // A message goes to the client.
  void CountSent(const grpc::ByteBuffer& message) { response_bytes_ += message.Length(); }

 private:
  Front& front_;
  const RpcMethod& method_;
  grpc::CallbackServerContext& server_context_;  // used by Enter and Admit alone
  const ClientAddress client_;
  absl::Time received_;
  CallHead head_;  // constant after the constructor
  const std::shared_ptr<AccessRecord> access_ = std::make_shared<AccessRecord>();
  Caller caller_;  // constant after Enter
  uint64_t request_bytes_ = 0;
  std::atomic<uint64_t> response_bytes_ = 0;
  Admission admission_;
  const OpenCall* entered_ = nullptr;
};

}  // namespace skein
