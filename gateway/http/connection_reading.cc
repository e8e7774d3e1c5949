// The part of Connection that reads requests.
#include <utility>

#include "absl/strings/str_cat.h"
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "gateway/http/connection.h"
#include "gateway/http/request_head.h"

// co_await stands in statements of its own here too: see connection.cc.

namespace skein {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr size_t kHeaderReadBytes = 4096;
constexpr size_t kBodyReadBytes = 65536;

constexpr absl::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

Connection::TaskOf<bool> Connection::ReadFirstByte() {
  if (buffer_.capacity() > 2 * kBodyReadBytes && buffer_.size() == 0) {
    buffer_ = boost::beast::flat_buffer();
  }
  idle_ = true;
  SetDeadline(context_.options.idle_timeout);
  bool more = !draining_ || !asked_;
  while (more && !SkipEmptyLines(buffer_)) more = co_await ReadSome(kHeaderReadBytes);
  idle_ = false;
  co_return more;
}

Connection::TaskOf<std::optional<HttpResponse>> Connection::ReadHeader(Parser& parser) {
  while (true) {
    error_code error;
    buffer_.consume(parser.put(buffer_.data(), error));
    if (error && error != http::error::need_more) co_return RefusalOf(error);
    if (parser.is_header_done()) co_return std::nullopt;
    const bool more = co_await ReadSome(kHeaderReadBytes);
    if (!more) co_return ReadFailure("header");
  }
}

Connection::TaskOf<std::optional<HttpResponse>> Connection::ReadBody(Parser& parser) {
  const bool expects_continue = parser.get().count(http::field::expect) != 0;
  if (expects_continue && parser.get().version() >= 11 && !parser.is_done() &&
      buffer_.size() == 0) {
    const bool written = co_await Write(kContinue);
    if (!written) co_return ReadFailure("body");
    SetDeadline(context_.options.read_timeout);
  }
  parser.eager(true);
  const size_t least = parser.chunked() ? kLeastChunkedBytes : 1;
  while (!parser.is_done()) {
    error_code error = http::error::need_more;
    if (buffer_.size() >= least) buffer_.consume(parser.put(buffer_.data(), error));
    if (error && error != http::error::need_more) co_return RefusalOf(error);
    if (parser.is_done()) break;
    // What stays unparsed is part of a chunk's header or of the trailer.
    if (buffer_.size() > context_.options.max_header_bytes) {
      co_return RefusalOf(http::error::header_limit);
    }
    if (buffer_.size() >= least && !error) continue;
    const bool more = co_await ReadSome(kBodyReadBytes);
    if (!more) co_return ReadFailure("body");
  }
  co_return std::nullopt;
}

Connection::TaskOf<bool> Connection::ReadSome(size_t size) {
  error_code error;
  const size_t received = co_await stream_.ReadSome(buffer_.prepare(size), error);
  if (error) {
    if (!timed_out_ && error != asio::error::eof) gone_ = true;
    co_return false;
  }
  buffer_.commit(received);
  co_return true;
}

HttpResponse Connection::ReadFailure(const char* part) const {
  if (timed_out_) {
    return ErrorResponse(408, "request_timeout",
                         absl::StrCat("The request's ", part, " did not arrive in time."));
  }
  return ErrorResponse(400, "truncated_request",
                       absl::StrCat("The connection ended within the request's ", part, "."));
}

}  // namespace skein
