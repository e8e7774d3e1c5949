// Our status codes are gRPC's: only the type changes at the border. RetryAfterOf goes along as
// RetryInfo (error_details.proto).
#pragma once

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace skein {

grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace skein
