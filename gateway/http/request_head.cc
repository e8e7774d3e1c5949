#include "gateway/http/request_head.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include <boost/beast/http/error.hpp>

#include "gateway/http/request_id.h"
#include "gateway/http/request_target.h"
#include "gateway/http/response_text.h"

namespace skein {
namespace {

namespace http = boost::beast::http;

absl::string_view View(boost::beast::string_view text) {
  return absl::string_view(text.data(), text.size());
}

Method ToMethod(http::verb verb) {
  switch (verb) {
    case http::verb::get:
      return Method::kGet;
    case http::verb::post:
      return Method::kPost;
    case http::verb::delete_:
      return Method::kDelete;
    case http::verb::put:
      return Method::kPut;
    case http::verb::options:
      return Method::kOptions;
    case http::verb::head:
      return Method::kHead;
    default:
      return Method::kOther;
  }
}

HttpResponse BadRequest(absl::string_view code, absl::string_view message) {
  return ErrorResponse(400, code, message);
}

std::optional<HttpResponse> CheckFraming(const BeastRequest& head) {
  const size_t num_hosts = head.count(http::field::host);
  if (num_hosts > 1 || (num_hosts == 0 && head.version() >= 11)) {
    return BadRequest("bad_host", "A request has exactly one Host header.");
  }
  const auto coding = head.find(http::field::transfer_encoding);
  if (coding != head.end() && !absl::EqualsIgnoreCase(View(coding->value()), "chunked")) {
    return ErrorResponse(501, "unknown_transfer_encoding",
                         "The only transfer encoding of requests is chunked.");
  }
  const auto expectation = head.find(http::field::expect);
  if (expectation != head.end() &&
      !absl::EqualsIgnoreCase(View(expectation->value()), "100-continue")) {
    return ErrorResponse(417, "unknown_expectation", "The only expectation is 100-continue.");
  }
  return std::nullopt;
}

}  // namespace

std::optional<HttpResponse> TakeHead(const BeastRequest& head, HttpRequest& request) {
  request.method = ToMethod(head.method());
  for (const auto& field : head) {
    request.headers.emplace_back(absl::AsciiStrToLower(View(field.name_string())),
                                 std::string(View(field.value())));
  }
  request.request_id = ChooseRequestId(request.Header("x-request-id"));
  // Two of them are none: nobody can tell which one is right.
  if (head.count("traceparent") == 1) request.trace = ContinueTrace(request.Header("traceparent"));
  if (std::optional<HttpResponse> refusal = CheckFraming(head)) return refusal;
  absl::StatusOr<RequestTarget> target = ParseRequestTarget(View(head.target()));
  if (!target.ok()) {
    return BadRequest("bad_target", target.status().message());
  }
  request.path = std::move(target->path);
  request.query = std::move(target->query);
  return std::nullopt;
}

HttpResponse RefusalOf(const boost::system::error_code& error) {
  if (error == http::error::body_limit) {
    return ErrorResponse(413, "body_too_large", "The request's body is larger than the limit.");
  }
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return ErrorResponse(431, "header_too_large", "The request's header is larger than the limit.");
  }
  return BadRequest("malformed_request",
                    absl::StrCat("This is not an HTTP/1.1 request: ", error.message(), "."));
}

std::string ChooseRequestId(absl::string_view from_client) {
  return IsSaneRequestId(from_client) ? std::string(from_client) : NewRequestId();
}

bool SkipEmptyLines(boost::beast::flat_buffer& buffer) {
  const auto* bytes = static_cast<const char*>(buffer.data().data());
  size_t skipped = 0;
  while (skipped < buffer.size() && (bytes[skipped] == '\r' || bytes[skipped] == '\n')) ++skipped;
  buffer.consume(skipped);
  return buffer.size() > 0;
}

}  // namespace skein
