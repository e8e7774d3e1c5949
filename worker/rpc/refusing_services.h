// The services of the contract that this worker refuses as a whole: every method answers
// UNIMPLEMENTED.
#pragma once

#include "skein/v1/states.grpc.pb.h"
#include "worker/rpc/refusal.h"

namespace skein {

inline constexpr char kNoStates[] = "saved states are not supported";

class RefusingStateService final : public v1::StateService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Fork(grpc::CallbackServerContext* context, const v1::ForkStateRequest*,
                                 v1::StateInfo*) override {
    return RefuseUnary(*context, kNoStates);
  }
  grpc::ServerWriteReactor<v1::StateChunk>* Export(grpc::CallbackServerContext*,
                                                   const v1::StateRef*) override {
    return RefuseStream<v1::StateChunk>(kNoStates);
  }
  grpc::ServerReadReactor<v1::StateChunk>* Import(grpc::CallbackServerContext*,
                                                  v1::StateInfo*) override {
    return RefuseUpload<v1::StateChunk>(kNoStates);
  }
  grpc::ServerUnaryReactor* Drop(grpc::CallbackServerContext* context, const v1::StateRef*,
                                 v1::DropStateResponse*) override {
    return RefuseUnary(*context, kNoStates);
  }
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context, const v1::ListStatesRequest*,
                                 v1::ListStatesResponse*) override {
    return RefuseUnary(*context, kNoStates);
  }
};

}  // namespace skein
