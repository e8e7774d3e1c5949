// The access line: one log line for each HTTP request and gRPC call, at its end. Nothing of bodies.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/base/log.h"
#include "common/base/trace_context.h"
#include "gateway/http/http_types.h"

namespace skein {

// What came with the request.
struct AccessHead {
  absl::string_view request_id;
  const TraceContext& trace;
  absl::string_view method;
  absl::string_view path = "";
};

struct AccessEnd {
  int status = 0;  // 499: the client left first
  absl::string_view client = "";
  absl::string_view proxy = "";  // that told of the client
  uint64_t request_bytes = 0;    // of the body
  uint64_t response_bytes = 0;   // sent, head included
  absl::Duration total =
      absl::ZeroDuration();  // from the request's last byte to the end of the answer
};

// Probes that went well are worth a line at debug level only.
LogLevel AccessLogLevel(const AccessFacts& facts, int status);
LogFields AccessLogFields(const AccessHead& head, const AccessFacts& facts, const AccessEnd& end);
LogFields AccessLogFields(const HttpRequest& request, const AccessFacts& facts,
                          const AccessEnd& end);
// Writes the line.
void LogAccess(const AccessHead& head, const AccessFacts& facts, const AccessEnd& end);
void LogAccess(const HttpRequest& request, const AccessEnd& end);

absl::string_view MethodName(Method method);

}  // namespace skein
