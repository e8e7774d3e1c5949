// What a client's call brings besides its message: request id, trace, key and deadline.
#pragma once

#include <string>

#include "absl/time/time.h"
#include <grpcpp/server_context.h>

#include "common/base/trace_context.h"
#include "gateway/http/trusted_proxies.h"
#include "gateway/rpc/inference_client.h"

namespace skein {

struct CallHead {
  CallOptions options;        // for the call to the worker
  TraceContext trace;         // a span of ours in the client's trace, or in a new one
  std::string authorization;  // as it came, or empty
};

// Who called: HOST:PORT of the connection, or whom a trusted proxy's x-forwarded-for names.
ClientAddress ClientOf(const grpc::CallbackServerContext& context, const TrustedProxies& trusted);

// Reads the metadata of a call, and puts x-request-id and traceparent into the answer's initial
// metadata. What is missing or cannot be passed on is replaced. The deadline is the client's, at
// most `max_time` from `now`.
CallHead ReadCallHead(grpc::CallbackServerContext& context, absl::Time now,
                      absl::Duration max_time);

}  // namespace skein
