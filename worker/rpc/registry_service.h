// skein.v1.RegistryService over one ModelHost.
#pragma once

#include <functional>

#include "skein/v1/registry.grpc.pb.h"
#include "worker/engine/model_host.h"
#include "worker/rpc/registry_changes.h"

namespace skein {

// Thread-safe. `host` and `changes` must outlive the server.
class RegistryServiceImpl final : public v1::RegistryService::CallbackService {
 public:
  RegistryServiceImpl(ModelHost& host, RegistryChanges& changes) : host_(host), changes_(changes) {}

  grpc::ServerUnaryReactor* LoadState(grpc::CallbackServerContext* context,
                                      const v1::LoadStateRequest* request,
                                      v1::Entry* response) override;
  grpc::ServerUnaryReactor* DefineMixture(grpc::CallbackServerContext* context,
                                          const v1::DefineMixtureRequest* request,
                                          v1::Entry* response) override;
  // UNIMPLEMENTED: a worker runs its model's own weights.
  grpc::ServerUnaryReactor* LoadAdapter(grpc::CallbackServerContext* context,
                                        const v1::LoadAdapterRequest* request,
                                        v1::Entry* response) override;
  grpc::ServerUnaryReactor* Remove(grpc::CallbackServerContext* context,
                                   const v1::RemoveRequest* request,
                                   v1::RemoveResponse* response) override;
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const v1::ListRequest* request,
                                 v1::ListResponse* response) override;

 private:
  template <typename Request>
  grpc::ServerUnaryReactor* Change(grpc::CallbackServerContext& context, const char* method,
                                   const Request& request, const RegistryChanges::Change& change);

  ModelHost& host_;
  RegistryChanges& changes_;
};

}  // namespace skein
