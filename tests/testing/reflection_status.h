// Whether a gRPC server has the reflection service.
#pragma once

#include <memory>

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

namespace skein {

// How an opened call of the service ends, whose messages this build has no classes for: OK, or
// Unimplemented where there is none.
grpc::StatusCode ReflectionStatus(const std::shared_ptr<grpc::Channel>& channel);

}  // namespace skein
