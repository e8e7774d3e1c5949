#include "worker/rpc/worker_service.h"

#include <memory>

#include "absl/status/statusor.h"

#include "worker/rpc/call_info.h"
#include "worker/rpc/drain_reactor.h"
#include "worker/rpc/refusal.h"
#include "worker/rpc/response_conversion.h"
#include "worker/rpc/watch_load_reactor.h"

namespace skein {
namespace {

constexpr char kOneModel[] = "a worker serves the one model that it was started with";

}  // namespace

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
    grpc::CallbackServerContext*, const v1::LoadModelRequest*) {
  return RefuseStream<v1::LoadProgress>(kOneModel);
}

grpc::ServerUnaryReactor* WorkerServiceImpl::UnloadModel(grpc::CallbackServerContext* context,
                                                         const v1::UnloadModelRequest*,
                                                         v1::UnloadModelResponse*) {
  return RefuseUnary(*context, kOneModel);
}

}  // namespace skein
