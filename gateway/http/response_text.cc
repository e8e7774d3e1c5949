#include "gateway/http/response_text.h"

#include "absl/strings/str_cat.h"
#include <boost/json.hpp>

namespace skein {
namespace {

struct StatusText {
  int status;
  absl::string_view reason;
};
constexpr StatusText kStatusTexts[] = {
    {200, "OK"},
    {201, "Created"},
    {204, "No Content"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

absl::string_view Reason(int status) {
  for (const StatusText& text : kStatusTexts) {
    if (text.status == status) return text.reason;
  }
  return "Unknown";
}

bool BreaksTheHead(absl::string_view text) {
  return text.find_first_of(absl::string_view("\r\n\0", 3)) != absl::string_view::npos;
}

// The date changes once a second; formatting it costs more than the rest of the head.
const std::string& DateText(absl::Time now) {
  thread_local int64_t cached_second = -1;
  thread_local std::string text;
  const int64_t second = absl::ToUnixSeconds(now);
  if (second != cached_second) {
    text = absl::FormatTime("%a, %d %b %E4Y %H:%M:%S GMT", now, absl::UTCTimeZone());
    cached_second = second;
  }
  return text;
}

}  // namespace

std::string FormatHead(const HttpResponse& response, const ResponseFrame& frame) {
  std::string head = absl::StrCat("HTTP/1.1 ", response.status, " ", Reason(response.status),
                                  "\r\nserver: skein\r\ndate: ", DateText(frame.date), "\r\n");
  if (!frame.request_id.empty()) {
    absl::StrAppend(&head, "x-request-id: ", frame.request_id, "\r\n");
  }
  for (const auto& [name, value] : response.headers) {
    if (BreaksTheHead(name) || BreaksTheHead(value)) continue;
    absl::StrAppend(&head, name, ": ", value, "\r\n");
  }
  const bool has_body = response.status != 204;
  if (has_body && !response.content_type.empty()) {
    absl::StrAppend(&head, "content-type: ", response.content_type, "\r\n");
  }
  if (frame.content_length.has_value() && has_body) {
    absl::StrAppend(&head, "content-length: ", *frame.content_length, "\r\n");
  } else if (!frame.content_length.has_value() && !frame.http_1_0) {
    absl::StrAppend(&head, "transfer-encoding: chunked\r\n");
  }
  if (!frame.keep_alive) {
    absl::StrAppend(&head, "connection: close\r\n");
  } else if (frame.http_1_0) {
    absl::StrAppend(&head, "connection: keep-alive\r\n");
  }
  absl::StrAppend(&head, "\r\n");
  return head;
}

void AppendChunk(absl::string_view bytes, std::string& out) {
  if (bytes.empty()) return;
  absl::StrAppend(&out, absl::Hex(bytes.size()), "\r\n", bytes, "\r\n");
}

HttpResponse EventStreamResponse() {
  HttpResponse response;
  response.content_type = "text/event-stream";
  // The last one keeps proxies from collecting events before they pass them on.
  response.headers = {{"cache-control", "no-cache"}, {"x-accel-buffering", "no"}};
  return response;
}

HttpResponse ErrorResponse(int status, absl::string_view code, absl::string_view message) {
  const char* type = status >= 500 ? "server_error" : "invalid_request_error";
  const boost::json::value body = {
      {"error",
       {{"message", boost::json::string_view(message.data(), message.size())},
        {"type", type},
        {"param", nullptr},
        {"code", boost::json::string_view(code.data(), code.size())}}}};
  HttpResponse response;
  response.status = status;
  response.body = boost::json::serialize(body);
  return response;
}

}  // namespace skein
