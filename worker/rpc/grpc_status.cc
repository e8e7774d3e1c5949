#include "worker/rpc/grpc_status.h"

#include <optional>
#include <string>

#include "absl/time/time.h"

#include "common/base/retry_after.h"
#include "skein/v1/error_details.pb.h"

namespace skein {
namespace {

std::string RetryDetails(const absl::Status& status, absl::Duration after) {
  v1::RetryInfo info;
  google::protobuf::Duration& delay = *info.mutable_retry_delay();
  absl::Duration rest;
  delay.set_seconds(absl::IDivDuration(after, absl::Seconds(1), &rest));
  delay.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  v1::StatusDetails details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(std::string(status.message()));
  google::protobuf::Any& any = *details.add_details();
  any.set_type_url("type.googleapis.com/google.rpc.RetryInfo");
  any.set_value(info.SerializeAsString());
  return details.SerializeAsString();
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const auto code = static_cast<grpc::StatusCode>(status.code());
  const std::optional<absl::Duration> after = RetryAfterOf(status);
  if (!after.has_value()) return grpc::Status(code, std::string(status.message()));
  return grpc::Status(code, std::string(status.message()), RetryDetails(status, *after));
}

}  // namespace skein
