// The body of a POST as a JSON object, under the gateway's limits.
#pragma once

#include "absl/status/statusor.h"
#include "boost/json/object.hpp"

#include "gateway/endpoints/gateway_context.h"

namespace skein {

// InvalidArgument for a compressed body or one that is not a strict JSON object. Content-Type is
// not looked at.
absl::StatusOr<boost::json::object> ReadBody(const HttpRequest& request,
                                             const GatewayContext& context);

}  // namespace skein
