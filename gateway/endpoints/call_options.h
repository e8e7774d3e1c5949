// What goes with a client's request to the worker, besides the request itself.
#pragma once

#include "absl/status/statusor.h"

#include "gateway/endpoints/gateway_context.h"
#include "gateway/rpc/inference_client.h"

namespace skein {

// The deadline of a request and the ids that go with it to the worker, whose address the access
// line will show.
//
// The deadline is `request_timeout_s` away, or as far as the header x-request-timeout-ms says;
// InvalidArgument if that is not a number of milliseconds from 1 to `request_timeout_s`.
absl::StatusOr<CallOptions> MakeCallOptions(const HttpRequest& request,
                                            const GatewayContext& context);

}  // namespace skein
