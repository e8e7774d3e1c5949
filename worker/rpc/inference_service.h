// skein.v1.InferenceService over one ModelHost.
#pragma once

#include "skein/v1/inference.grpc.pb.h"
#include "worker/engine/model_host.h"

namespace skein {

// Thread-safe. `host` must outlive the server.
class InferenceServiceImpl final : public v1::InferenceService::CallbackService {
 public:
  InferenceServiceImpl(ModelHost& host, bool access_log) : host_(host), access_log_(access_log) {}

  grpc::ServerWriteReactor<v1::GenerateResponse>* Generate(
      grpc::CallbackServerContext* context, const v1::GenerateRequest* request) override;
  grpc::ServerUnaryReactor* Score(grpc::CallbackServerContext* context,
                                  const v1::ScoreRequest* request,
                                  v1::ScoreResponse* response) override;
  grpc::ServerUnaryReactor* Tokenize(grpc::CallbackServerContext* context,
                                     const v1::TokenizeRequest* request,
                                     v1::TokenizeResponse* response) override;
  grpc::ServerUnaryReactor* Detokenize(grpc::CallbackServerContext* context,
                                       const v1::DetokenizeRequest* request,
                                       v1::DetokenizeResponse* response) override;

 private:
  ModelHost& host_;
  const bool access_log_;
};

}  // namespace skein
