// What a call brings besides its message: request id, trace and deadline.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpcpp/server_context.h"

#include "common/base/trace_context.h"

namespace skein {

struct CallInfo {
  std::string request_id;  // the client's x-request-id, or a new one
  TraceContext trace;      // a span of ours in the client's trace, or in a new one
  absl::Time deadline = absl::InfiniteFuture();
  std::string client;  // its address, as gRPC writes it
  bool log = true;     // an access line at the end
};

// Reads the metadata of a call, and puts x-request-id and traceparent into the answer's initial
// metadata. An id that is longer than 128 characters, or that has others than visible ASCII, is
// replaced, as is a traceparent that is none.
CallInfo BeginCall(grpc::CallbackServerContext& context);

// 32 hexadecimal digits.
std::string NewRequestId();

}  // namespace skein
