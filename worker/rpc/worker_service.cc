#include "worker/rpc/worker_service.h"

#include <memory>

#include "absl/status/statusor.h"

#include "worker/rpc/call_info.h"
#include "worker/rpc/drain_reactor.h"
#include "worker/rpc/load_model_reactor.h"
#include "worker/rpc/response_conversion.h"
#include "worker/rpc/unload_model_reactor.h"
#include "worker/rpc/watch_load_reactor.h"

namespace skein {

grpc::ServerUnaryReactor* WorkerServiceImpl::ListModels(grpc::CallbackServerContext* context,
                                                        const v1::ListModelsRequest*,
                                                        v1::ListModelsResponse* response) {
  BeginCall(*context);
  const absl::StatusOr<std::shared_ptr<ServedModel>> model = host_.Find("");
  if (model.ok()) *response->add_models() = ConvertModelInfo((*model)->profile);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerWriteReactor<v1::WorkerLoad>* WorkerServiceImpl::WatchLoad(
    grpc::CallbackServerContext* context, const v1::WatchLoadRequest* request) {
  BeginCall(*context);
  return new WatchLoadReactor(host_, request->heartbeat_ms());
}

grpc::ServerUnaryReactor* WorkerServiceImpl::Drain(grpc::CallbackServerContext* context,
                                                   const v1::DrainRequest*, v1::DrainResponse*) {
  BeginCall(*context);
  return new DrainReactor(host_);
}

grpc::ServerWriteReactor<v1::LoadProgress>* WorkerServiceImpl::LoadModel(
    grpc::CallbackServerContext* context, const v1::LoadModelRequest* request) {
  return LoadModelReactor::Begin(host_, BeginCall(*context), rules_, *request);
}

grpc::ServerUnaryReactor* WorkerServiceImpl::UnloadModel(grpc::CallbackServerContext* context,
                                                         const v1::UnloadModelRequest* request,
                                                         v1::UnloadModelResponse*) {
  return UnloadModelReactor::Begin(host_, BeginCall(*context), rules_, *request);
}

}  // namespace skein
