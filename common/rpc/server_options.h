// What the gRPC servers of all processes have in common.
#pragma once

#include <cstdint>

#include <grpcpp/server_builder.h>

namespace skein {

struct RpcServerOptions {
  uint32_t max_request_bytes = 16 << 20;
  bool reflection = false;
};

// Message sizes, keepalive, health service and reflection. A port that another process listens on
// is an error, instead of being shared with it.
void SetServerOptions(const RpcServerOptions& options, grpc::ServerBuilder& builder);

}  // namespace skein
