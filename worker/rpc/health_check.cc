#include "worker/rpc/health_check.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"

#include "common/base/status_macros.h"
#include "common/config/address.h"
#include "common/tls/grpc_credentials.h"

namespace skein {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

absl::Status CheckHealth(const std::string& target, const config::v1::ServerTls& tls,
                         absl::Duration timeout) {
  const size_t slash = target.find('/');
  const std::string host_port = target.substr(0, slash);
  RETURN_IF_ERROR(ParseHostPort(host_port).status());
  HealthCheckRequest request;
  if (slash != std::string::npos) request.set_service(target.substr(slash + 1));
  HealthCheckResponse response;
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  context.set_wait_for_ready(false);
  const auto health =
      Health::NewStub(grpc::CreateChannel(host_port, MakeOwnChannelCredentials(tls)));
  const grpc::Status status = health->Check(&context, request, &response);
  if (!status.ok()) {
    return absl::UnavailableError(
        absl::StrCat("no answer from ", host_port, ": ", status.error_message()));
  }
  if (response.status() != HealthCheckResponse::SERVING) {
    return absl::UnavailableError(
        absl::StrCat(host_port, " is ", HealthCheckResponse::ServingStatus_Name(response.status()),
                     ", expected SERVING"));
  }
  return absl::OkStatus();
}

}  // namespace skein
