// Our status codes are gRPC's: only the type changes at the border.
#pragma once

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace skein {

grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace skein
