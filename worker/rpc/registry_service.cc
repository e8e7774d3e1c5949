#include "worker/rpc/registry_service.h"

#include <memory>
#include <string>

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/metrics/metrics.h"
#include "worker/registry/conversion.h"
#include "worker/rpc/call_info.h"
#include "worker/rpc/grpc_status.h"

namespace skein {

// Request and answer live until the call is finished.
template <typename Request>
grpc::ServerUnaryReactor* RegistryServiceImpl::Change(grpc::CallbackServerContext& context,
                                                      const char* method, const Request& request,
                                                      const RegistryChanges::Change& change) {
  const CallInfo call = BeginCall(context);
  grpc::ServerUnaryReactor* reactor = context.DefaultReactor();
  changes_.Post(request.model(), change,
                [reactor, method, name = request.name(), call](const absl::Status& status) {
                  LogFields fields = {{"request", call.request_id},
                                      {"method", method},
                                      {"name", name},
                                      {"outcome", StatusLabel(status)}};
                  if (!status.ok()) fields.emplace_back("error", std::string(status.message()));
                  LogInfo("registry change", fields);
                  reactor->Finish(ToGrpcStatus(status));
                });
  return reactor;
}

grpc::ServerUnaryReactor* RegistryServiceImpl::LoadState(grpc::CallbackServerContext* context,
                                                         const v1::LoadStateRequest* request,
                                                         v1::Entry* response) {
  return Change(*context, "LoadState", *request,
                [=](RegistryKeeper& keeper, const RegistryTarget& target) -> absl::Status {
                  ASSIGN_OR_RETURN(const RegistryKeeper::EntryRef entry,
                                   keeper.LoadState(target, *request));
                  *response = ConvertEntry(*entry);
                  return absl::OkStatus();
                });
}

grpc::ServerUnaryReactor* RegistryServiceImpl::DefineMixture(
    grpc::CallbackServerContext* context, const v1::DefineMixtureRequest* request,
    v1::Entry* response) {
  return Change(*context, "DefineMixture", *request,
                [=](RegistryKeeper& keeper, const RegistryTarget& target) -> absl::Status {
                  ASSIGN_OR_RETURN(const RegistryKeeper::EntryRef entry,
                                   keeper.DefineMixture(target, *request));
                  *response = ConvertEntry(*entry);
                  return absl::OkStatus();
                });
}

grpc::ServerUnaryReactor* RegistryServiceImpl::LoadAdapter(grpc::CallbackServerContext* context,
                                                           const v1::LoadAdapterRequest* request,
                                                           v1::Entry* response) {
  return Change(*context, "LoadAdapter", *request,
                [=](RegistryKeeper& keeper, const RegistryTarget& target) -> absl::Status {
                  ASSIGN_OR_RETURN(const RegistryKeeper::EntryRef entry,
                                   keeper.LoadAdapter(target, *request));
                  *response = ConvertEntry(*entry);
                  return absl::OkStatus();
                });
}

grpc::ServerUnaryReactor* RegistryServiceImpl::Remove(grpc::CallbackServerContext* context,
                                                      const v1::RemoveRequest* request,
                                                      v1::RemoveResponse*) {
  return Change(*context, "Remove", *request,
                [=](RegistryKeeper& keeper, const RegistryTarget& target) {
                  return keeper.Remove(target, *request);
                });
}

grpc::ServerUnaryReactor* RegistryServiceImpl::List(grpc::CallbackServerContext* context,
                                                    const v1::ListRequest* request,
                                                    v1::ListResponse* response) {
  BeginCall(*context);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const absl::StatusOr<std::shared_ptr<ServedModel>> model = host_.Find(request->model());
  if (model.ok()) {
    const std::shared_ptr<const RegistrySnapshot> now = (*model)->registry->snapshot();
    for (const auto& [name, entry] : now->entries) *response->add_entries() = ConvertEntry(*entry);
    response->set_revision(now->revision);
  }
  reactor->Finish(ToGrpcStatus(model.status()));
  return reactor;
}

}  // namespace skein
