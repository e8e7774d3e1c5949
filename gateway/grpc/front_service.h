// Every call that clients make at the gateway's gRPC port: InferenceService and RegistryService are
// looked into and passed on, health is answered here.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include "gateway/grpc/front_call.h"
#include "gateway/grpc/health.h"

namespace skein {

// Generic, because gRPC reads the request of a registered method before it asks anybody.
class FrontService final : public grpc::CallbackGenericService {
 public:
  FrontService(Front& front, HealthBoard& health) : front_(front), health_(health) {}

  // Other methods are Unimplemented.
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override;

 private:
  Front& front_;
  HealthBoard& health_;
};

}  // namespace skein
