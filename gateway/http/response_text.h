// The text of answers: heads, chunks, and the error objects of the server itself.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "gateway/http/http_types.h"

namespace skein {

// What surrounds an HttpResponse on its connection.
struct ResponseFrame {
  std::string request_id;  // no header if empty
  bool keep_alive = true;  // else `connection: close`
  bool http_1_0 = false;   // the version of the request; the answer says 1.1 all the same
  std::optional<size_t>
      content_length;  // unset: chunked, or in HTTP/1.0 until the connection closes
  absl::Time date;
};

// Status line and headers with the empty line after them. Headers of `response` whose name or value
// would break the head are left out.
std::string FormatHead(const HttpResponse& response, const ResponseFrame& frame);

// Appends `bytes` as one chunk of a chunked body; nothing if they are empty, which would end the
// body.
void AppendChunk(absl::string_view bytes, std::string& out);
inline constexpr absl::string_view kLastChunk = "0\r\n\r\n";

// The head that announces an event stream.
HttpResponse EventStreamResponse();

// {"error": {"message", "type", "param": null, "code"}}. `type` follows from the status.
HttpResponse ErrorResponse(int status, absl::string_view code, absl::string_view message);

}  // namespace skein
