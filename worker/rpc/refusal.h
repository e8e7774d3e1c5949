// Answers to methods of the contract that this worker does not have: UNIMPLEMENTED with the reason.
#pragma once

#include <string>

#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"

namespace skein {

inline grpc::ServerUnaryReactor* RefuseUnary(grpc::CallbackServerContext& context,
                                             const std::string& why) {
  grpc::ServerUnaryReactor* reactor = context.DefaultReactor();
  reactor->Finish(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, why));
  return reactor;
}

// Deletes itself.
template <typename Reactor>
class RefusingReactor final : public Reactor {
 public:
  explicit RefusingReactor(const std::string& why) {
    this->Finish(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, why));
  }
  void OnDone() override { delete this; }
};

template <typename Response>
grpc::ServerWriteReactor<Response>* RefuseStream(const std::string& why) {
  return new RefusingReactor<grpc::ServerWriteReactor<Response>>(why);
}

template <typename Request>
grpc::ServerReadReactor<Request>* RefuseUpload(const std::string& why) {
  return new RefusingReactor<grpc::ServerReadReactor<Request>>(why);
}

}  // namespace skein
