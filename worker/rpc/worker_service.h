// skein.v1.WorkerService over one ModelHost.
#pragma once

#include <utility>

#include "skein/v1/workers.grpc.pb.h"
#include "worker/engine/model_host.h"
#include "worker/rpc/model_requests.h"

namespace skein {

// Thread-safe. `host` must outlive the server.
class WorkerServiceImpl final : public v1::WorkerService::CallbackService {
 public:
  WorkerServiceImpl(ModelHost& host, ModelRequestRules rules)
      : host_(host), rules_(std::move(rules)) {}

  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context,
                                       const v1::ListModelsRequest* request,
                                       v1::ListModelsResponse* response) override;
  grpc::ServerWriteReactor<v1::WorkerLoad>* WatchLoad(grpc::CallbackServerContext* context,
                                                      const v1::WatchLoadRequest* request) override;
  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* context,
                                  const v1::DrainRequest* request,
                                  v1::DrainResponse* response) override;
  grpc::ServerWriteReactor<v1::LoadProgress>* LoadModel(
      grpc::CallbackServerContext* context, const v1::LoadModelRequest* request) override;
  grpc::ServerUnaryReactor* UnloadModel(grpc::CallbackServerContext* context,
                                        const v1::UnloadModelRequest* request,
                                        v1::UnloadModelResponse* response) override;

 private:
  ModelHost& host_;
  const ModelRequestRules rules_;
};

}  // namespace skein
