// What a client's call brings besides its message: request id, trace, key and deadline.
#pragma once

#include <string>

#include "absl/time/time.h"
#include <grpcpp/server_context.h>

#include "gateway/rpc/inference_client.h"

namespace skein {

struct CallHead {
  CallOptions options;        // for the call to the worker
  std::string authorization;  // as it came, or empty
};

// Reads the metadata of a call, and puts x-request-id and traceparent into the answer's initial
// metadata. What cannot be passed on is replaced (the id) or dropped. The deadline is the client's,
// at most `max_time` from `now`.
CallHead ReadCallHead(grpc::CallbackServerContext& context, absl::Time now,
                      absl::Duration max_time);

}  // namespace skein
