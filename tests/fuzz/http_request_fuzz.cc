// Bytes of a connection: PIECES 1f BYTES, taken apart as the HTTP server does it, head, target and
// body, down to the message for the worker. What is read must not depend on how the bytes arrive; a
// byte of PIECES is the length of a piece.
#include <algorithm>
#include <optional>
#include <string>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "gateway/http/request_head.h"
#include "gateway/http/request_id.h"
#include "gateway/http/response_text.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/request_decoding.h"

namespace {

namespace http = boost::beast::http;
using skein::HttpRequest;
using skein::HttpResponse;
using skein::fuzz::Require;

constexpr uint32_t kMaxHeaderBytes = 2048;
constexpr uint64_t kMaxBodyBytes = 8192;

struct Read {
  bool complete = false;  // a whole request; else the bytes end before it does
  std::optional<HttpResponse> refusal;
  HttpRequest request;
  size_t left = 0;  // bytes behind the request
};

class Reader {
 public:
  Reader(absl::string_view bytes, absl::string_view pieces) : bytes_(bytes), pieces_(pieces) {
    parser_.header_limit(kMaxHeaderBytes);
    parser_.body_limit(kMaxBodyBytes);
  }

  Read Run() {
    while (!skein::SkipEmptyLines(buffer_)) {
      if (!Receive()) return {};
    }
    Read read;
    read.refusal = ReadHead();
    if (read.refusal.has_value() || !parser_.is_header_done()) return read;
    read.refusal = skein::TakeHead(parser_.get(), read.request);
    if (read.refusal.has_value()) return read;
    parser_.eager(true);
    read.refusal = ReadBody();
    read.complete = !read.refusal.has_value() && parser_.is_done();
    if (!read.complete) return read;
    read.request.body = parser_.get().body();
    read.left = buffer_.size() + bytes_.size();
    return read;
  }

 private:
  bool Receive() {
    if (bytes_.empty()) return false;
    const size_t wanted = pieces_.empty()
                              ? bytes_.size()
                              : 1 + static_cast<uint8_t>(pieces_[next_++ % pieces_.size()]);
    const size_t length = std::min(wanted, bytes_.size());
    const auto space = buffer_.prepare(length);
    std::copy_n(bytes_.data(), length, static_cast<char*>(space.data()));
    buffer_.commit(length);
    bytes_.remove_prefix(length);
    return true;
  }

  std::optional<HttpResponse> ReadHead() {
    while (true) {
      boost::system::error_code error;
      buffer_.consume(parser_.put(buffer_.data(), error));
      if (error && error != http::error::need_more) return skein::RefusalOf(error);
      if (parser_.is_header_done() || !Receive()) return std::nullopt;
    }
  }

  std::optional<HttpResponse> ReadBody() {
    const size_t least = parser_.chunked() ? skein::kLeastChunkedBytes : 1;
    while (!parser_.is_done()) {
      boost::system::error_code error = http::error::need_more;
      if (buffer_.size() >= least) buffer_.consume(parser_.put(buffer_.data(), error));
      if (error && error != http::error::need_more) return skein::RefusalOf(error);
      if (parser_.is_done()) break;
      if (buffer_.size() > kMaxHeaderBytes) return skein::RefusalOf(http::error::header_limit);
      if (buffer_.size() >= least && !error) continue;
      if (!Receive()) break;
    }
    return std::nullopt;
  }

  absl::string_view bytes_;
  const absl::string_view pieces_;
  size_t next_ = 0;
  boost::beast::flat_buffer buffer_;
  http::request_parser<http::string_body> parser_;
};

void CheckRefusal(const HttpResponse& refusal) {
  Require(refusal.status >= 400 && refusal.status != 500, "a bad request is the client's fault");
  skein::ResponseFrame frame;
  frame.request_id = "req-1";
  frame.content_length = refusal.body.size();
  const std::string head = skein::FormatHead(refusal, frame);
  Require(head.find("\r\n\r\n") == head.size() - 4, "an answer has one head", head);
}

// Where the bytes end before the request does, it may be refused sooner or later.
void CheckSame(const Read& whole, const Read& pieces) {
  Require(whole.complete == pieces.complete, "a request is whole however it arrives");
  if (!whole.complete) return;
  Require(whole.left == pieces.left, "the next request starts at the same byte");
  Require(whole.request.method == pieces.request.method &&
              whole.request.path == pieces.request.path &&
              whole.request.query == pieces.request.query &&
              whole.request.headers == pieces.request.headers &&
              whole.request.body == pieces.request.body,
          "a request is the same however it arrives");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  skein::fuzz::Parts parts(skein::fuzz::Text(data, size));
  const absl::string_view pieces = parts.Next();
  const Read whole = Reader(parts.Rest(), "").Run();
  CheckSame(whole,
            Reader(parts.Rest(), pieces.empty() ? absl::string_view("\0", 1) : pieces).Run());
  if (whole.refusal.has_value()) CheckRefusal(*whole.refusal);
  if (!whole.complete) return 0;
  Require(skein::IsSaneRequestId(whole.request.request_id), "every request has an id");
  skein::fuzz::CheckBody(whole.request.path, whole.request.body);
  return 0;
}
