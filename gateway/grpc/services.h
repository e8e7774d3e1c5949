// The services of the contract that clients find at the gateway. Requests are looked into, answers
// are not.
#pragma once

#include "gateway/grpc/front_call.h"
#include "skein/v1/inference.grpc.pb.h"
#include "skein/v1/registry.grpc.pb.h"

namespace skein {

using RawInferenceService = v1::InferenceService::WithRawCallbackMethod_Generate<
    v1::InferenceService::WithRawCallbackMethod_Score<
        v1::InferenceService::WithRawCallbackMethod_Tokenize<
            v1::InferenceService::WithRawCallbackMethod_Detokenize<
                v1::InferenceService::Service>>>>;

class InferenceFront final : public RawInferenceService {
 public:
  explicit InferenceFront(Front& front) : front_(front) {}

  grpc::ServerWriteReactor<grpc::ByteBuffer>* Generate(grpc::CallbackServerContext* context,
                                                       const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* Score(grpc::CallbackServerContext* context,
                                  const grpc::ByteBuffer* request,
                                  grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* Tokenize(grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* Detokenize(grpc::CallbackServerContext* context,
                                       const grpc::ByteBuffer* request,
                                       grpc::ByteBuffer* response) override;

 private:
  Front& front_;
};

using RawRegistryService = v1::RegistryService::WithRawCallbackMethod_LoadState<
    v1::RegistryService::WithRawCallbackMethod_DefineMixture<
        v1::RegistryService::WithRawCallbackMethod_LoadAdapter<
            v1::RegistryService::WithRawCallbackMethod_Remove<
                v1::RegistryService::WithRawCallbackMethod_List<v1::RegistryService::Service>>>>>;

// List asks one worker; the others change all of them.
class RegistryFront final : public RawRegistryService {
 public:
  explicit RegistryFront(Front& front) : front_(front) {}

  grpc::ServerUnaryReactor* LoadState(grpc::CallbackServerContext* context,
                                      const grpc::ByteBuffer* request,
                                      grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* DefineMixture(grpc::CallbackServerContext* context,
                                          const grpc::ByteBuffer* request,
                                          grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* LoadAdapter(grpc::CallbackServerContext* context,
                                        const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* Remove(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const grpc::ByteBuffer* request,
                                 grpc::ByteBuffer* response) override;

 private:
  Front& front_;
};

}  // namespace skein
