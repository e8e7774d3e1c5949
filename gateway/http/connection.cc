#include "gateway/http/connection.h"

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/base/log.h"
#include "common/config/address.h"
#include "gateway/http/access_log.h"
#include "gateway/http/request_head.h"

// co_await stands in statements of its own here: g++ 12 miscompiles some of those within
// conditions.

namespace skein {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr size_t kReadBytes = 4096;
// While an answer is in progress, so much of the requests behind it is read ahead.
constexpr size_t kMaxReadAheadBytes = 65536;
// After a refusal, so much of the request that was not read is thrown away.
constexpr size_t kMaxLingerBytes = 8 << 20;
constexpr int kClientLeft = 499;

constexpr absl::string_view kKeepAliveComment = ": keep-alive\n\n";

std::string AddressOf(const asio::ip::tcp::socket& socket) {
  error_code error;
  const asio::ip::tcp::endpoint client = socket.remote_endpoint(error);
  return error ? "" : FormatHostPort(client.address().to_string(), client.port());
}

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, const ConnectionContext& context)
    : peer_(AddressOf(socket)),
      stream_(std::move(socket), context.tls == nullptr ? nullptr : context.tls->current()),
      context_(context),
      signal_(stream_.executor(), Clock::time_point::max()) {}

void Connection::Start(std::function<void()> on_end) {
  asio::co_spawn(
      stream_.executor(), [self = shared_from_this()] { return self->Serve(); },
      [self = shared_from_this(), on_end = std::move(on_end)](const std::exception_ptr& error) {
        if (error) LogError("connection ended by an exception");
        self->Close();
        on_end();
      });
}

void Connection::Refuse(std::function<void()> on_end) {
  asio::co_spawn(
      stream_.executor(), [self = shared_from_this()] { return self->ServeRefusal(); },
      [self = shared_from_this(), on_end = std::move(on_end)](const std::exception_ptr&) {
        on_end();
      });
}

Connection::Task Connection::Serve() {
  bool open = co_await Handshake();
  while (open) open = co_await ServeRequest();
  Close();
}

Connection::TaskOf<bool> Connection::Handshake() {
  if (!stream_.secure()) co_return true;
  SetDeadline(context_.options.read_timeout);
  error_code error;
  co_await stream_.Handshake(error);
  ClearDeadline();
  if (!error) co_return true;
  context_.metrics.tls_handshake_failures.Increment();
  LogDebug("TLS handshake failed", {{"reason", error.message()}});
  co_return false;
}

Connection::Task Connection::ServeRefusal() {
  HttpResponse response =
      ErrorResponse(503, "too_many_connections", "Too many connections are open; try again later.");
  response.headers.emplace_back("retry-after", "1");
  const bool written = co_await WriteResponse(response, ChooseRequestId(""), RequestTraits());
  if (written) co_await Linger();
  Close();
}

Connection::TaskOf<bool> Connection::ServeRequest() {
  const bool begun = co_await ReadFirstByte();
  if (!begun) co_return false;
  asked_ = true;
  SetDeadline(context_.options.read_timeout);
  sent_bytes_ = 0;
  Parser parser;
  parser.header_limit(context_.options.max_header_bytes);
  parser.body_limit(context_.options.max_body_bytes);

  HttpRequest request;
  RequestTraits traits;
  std::optional<HttpResponse> refusal = co_await ReadHeader(parser);
  if (!refusal.has_value()) refusal = TakeHead(parser.get(), request);
  if (!refusal.has_value()) {
    traits.keep_alive = parser.keep_alive();
    traits.http_1_0 = parser.get().version() < 11;
    traits.head = request.method == Method::kHead;
    refusal = CheckHead(parser, request);
  }
  if (!refusal.has_value()) {
    refusal = co_await ReadBody(parser);
  }
  ClearDeadline();
  if (request.request_id.empty()) request.request_id = ChooseRequestId("");
  if (request.trace.trace_id.empty()) request.trace = ContinueTrace("");
  request.received = absl::Now();
  int status = kClientLeft;
  if (refusal.has_value()) {
    traits.keep_alive = false;
    const bool written = co_await WriteResponse(*refusal, request.request_id, traits);
    if (written) status = refusal->status;
  } else {
    request.body = std::move(parser.get().body());
    status = co_await Answer(request, traits);
  }
  Report(request, status, refusal.has_value());
  if (gone_) co_return false;
  if (traits.keep_alive) co_return true;
  co_await Linger();
  co_return false;
}

std::optional<HttpResponse> Connection::CheckHead(const Parser& parser,
                                                  const HttpRequest& request) const {
  if (!context_.options.check_head || parser.is_done()) return std::nullopt;
  const auto size = parser.content_length();
  if (size.has_value() && *size <= HttpServerOptions::kLargeBodyBytes) return std::nullopt;
  return context_.options.check_head(request);
}

Connection::TaskOf<int> Connection::Answer(const HttpRequest& request, RequestTraits& traits) {
  // A weak pointer, because the handler may keep the exchange for longer than the connection lives.
  // The executor is not used after Detach.
  exchange_ = std::make_shared<Exchange>(
      [weak = weak_from_this(), where = stream_.executor()] {
        asio::post(where, [weak] {
          if (const std::shared_ptr<Connection> self = weak.lock()) self->signal_.cancel();
        });
      },
      context_.options.max_unsent_bytes);
  const std::shared_ptr<Exchange> exchange = exchange_;
  try {
    context_.handler(request, exchange->NewResponder());
  } catch (const std::exception& error) {
    LogError("handler threw", {{"request", request.request_id}, {"error", error.what()}});
  }
  int status = kClientLeft;
  silent_since_ = Clock::now();
  keep_alive_due_ = false;
  while (!gone_) {
    Exchange::Output output = exchange->Take();
    if (output.stream) {
      status = co_await StreamAnswer(std::move(output), request, traits);
      break;
    }
    if (output.response.has_value()) {
      traits.keep_alive = traits.keep_alive && !draining_;
      const bool written = co_await WriteResponse(*output.response, request.request_id, traits);
      if (written) status = output.response->status;
      break;
    }
    if (std::exchange(keep_alive_due_, false)) {
      silent_since_ = Clock::now();
      exchange->Silence();
      continue;
    }
    WatchForDisconnect();
    co_await WaitForSignal();
  }
  silent_since_ = Clock::time_point::max();
  exchange_.reset();
  exchange->Detach();
  co_return status;
}

Connection::TaskOf<int> Connection::StreamAnswer(Exchange::Output output,
                                                 const HttpRequest& request,
                                                 RequestTraits& traits) {
  const std::shared_ptr<Exchange> exchange = exchange_;
  if (traits.http_1_0) traits.keep_alive = false;
  ResponseFrame frame;
  frame.request_id = request.request_id;
  frame.keep_alive = traits.keep_alive;
  frame.http_1_0 = traits.http_1_0;
  frame.date = absl::Now();
  HttpResponse head = EventStreamResponse();
  for (auto& header : output.headers) head.headers.push_back(std::move(header));
  std::string out = FormatHead(head, frame);
  context_.metrics.open_streams.Increment();
  keep_alive_due_ = false;
  WatchForDisconnect();
  while (!gone_) {
    if (keep_alive_due_ && output.events.empty()) output.events = std::string(kKeepAliveComment);
    keep_alive_due_ = false;
    if (traits.head) output.events.clear();
    if (traits.http_1_0) {
      out += output.events;
    } else {
      AppendChunk(output.events, out);
    }
    output.events = std::string();  // a slow client's are not to be held twice
    if (output.closed && !output.broken && !traits.http_1_0 && !traits.head)
      absl::StrAppend(&out, kLastChunk);
    if (!out.empty()) {
      co_await Write(out);
      out.clear();
      silent_since_ = Clock::now();
    } else if (!output.closed) {
      WatchForDisconnect();
      co_await WaitForSignal();
    }
    if (output.closed) break;
    output = exchange->Take();
  }
  context_.metrics.open_streams.Decrement();
  // What was cut must not look complete: the connection closes without the last chunk.
  if (draining_ || output.broken) traits.keep_alive = false;
  if (gone_) co_return kClientLeft;
  co_return output.broken ? 500 : 200;
}

Connection::TaskOf<bool> Connection::WriteResponse(const HttpResponse& response,
                                                   const std::string& request_id,
                                                   const RequestTraits& traits) {
  ResponseFrame frame;
  frame.request_id = request_id;
  frame.keep_alive = traits.keep_alive;
  frame.http_1_0 = traits.http_1_0;
  frame.content_length = response.body.size();
  frame.date = absl::Now();
  const std::string head = FormatHead(response, frame);
  const bool has_body = !traits.head && response.status != 204;
  co_return co_await Write(head, has_body ? absl::string_view(response.body) : "");
}

Connection::TaskOf<bool> Connection::Write(absl::string_view first, absl::string_view second) {
  while (!gone_ && (!first.empty() || !second.empty())) {
    // Each piece that the client takes renews its time.
    SetDeadline(context_.options.write_timeout);
    const std::array<asio::const_buffer, 2> pieces = {asio::buffer(first.data(), first.size()),
                                                      asio::buffer(second.data(), second.size())};
    error_code error;
    const size_t sent = co_await stream_.WriteSome(pieces, error);
    if (error) ClientLeft();
    sent_bytes_ += sent;
    const size_t of_first = std::min(sent, first.size());
    first.remove_prefix(of_first);
    second.remove_prefix(sent - of_first);
  }
  ClearDeadline();
  co_return !gone_;
}

Connection::Task Connection::Linger() {
  error_code error;
  SetDeadline(context_.options.linger);
  co_await stream_.ShutdownSend(error);
  std::array<char, kReadBytes> scratch;
  size_t dropped = 0;
  while (!error && !timed_out_ && dropped < kMaxLingerBytes) {
    const size_t size = co_await stream_.Discard(asio::buffer(scratch), error);
    dropped += size;
  }
}

Connection::Task Connection::WaitForSignal() {
  if (gone_) co_return;
  error_code cancelled;
  co_await signal_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
}

void Connection::WatchForDisconnect() {
  if (watching_ || gone_ || buffer_.size() > kMaxReadAheadBytes) return;
  watching_ = true;
  stream_.WaitReadable([self = shared_from_this()](const error_code& error) {
    self->watching_ = false;
    self->OnReadable(error);
  });
}

void Connection::OnReadable(const error_code& error) {
  // Between answers the next read finds out by itself; a cancelled wait tells nothing.
  if (exchange_ == nullptr || gone_ || error == asio::error::operation_aborted) return;
  error_code read_error = error;
  if (!read_error) {
    const size_t received =
        stream_.ReadNow(buffer_.prepare(ByteStream::kReadAheadBytes), read_error);
    buffer_.commit(received);
  }
  if (read_error && read_error != asio::error::would_block) {
    ClientLeft();
  } else {
    WatchForDisconnect();
  }
}

void Connection::ClientLeft() {
  if (gone_) return;
  gone_ = true;
  if (exchange_ != nullptr) exchange_->Disconnect();
  signal_.cancel();
  stream_.Cancel();
}

void Connection::Tick(Clock::time_point now) {
  if (now >= deadline_) {
    timed_out_ = true;
    stream_.Cancel();
  }
  const auto silence = absl::ToChronoMilliseconds(context_.options.keep_alive);
  if (silent_since_ != Clock::time_point::max() && now - silent_since_ >= silence) {
    keep_alive_due_ = true;
    signal_.cancel();
  }
}

bool Connection::Drain() {
  draining_ = true;
  if (asked_) CloseIfIdle();
  return exchange_ != nullptr;
}

void Connection::CloseIfIdle() {
  if (idle_) Close();
}

void Connection::Shutdown() {
  const std::shared_ptr<Exchange> exchange = exchange_;
  if (exchange != nullptr) exchange->Shutdown();
}

void Connection::Abort() {
  ClientLeft();
  Close();
}

void Connection::SetDeadline(absl::Duration timeout) {
  timed_out_ = false;
  deadline_ = Clock::now() + absl::ToChronoMilliseconds(timeout);
}

void Connection::Close() {
  ClearDeadline();
  stream_.Close();
}

void Connection::Report(const HttpRequest& request, int status, bool refused) const {
  const absl::Duration total = absl::Now() - request.received;
  // What reaches the handler is counted there, by its route.
  if (refused) context_.metrics.CountRequest("other", status, absl::ToDoubleSeconds(total));
  if (!context_.options.access_log) return;
  const ClientAddress from =
      context_.options.trusted_proxies.ClientOf(peer_, request.HeadersOf("x-forwarded-for"));
  LogAccess(request, {.status = status,
                      .client = from.client,
                      .proxy = from.proxy,
                      .request_bytes = request.body.size(),
                      .response_bytes = sent_bytes_,
                      .total = total});
}

}  // namespace skein
