// One client connection: reads requests, waits for their answers, writes them. Everything here runs
// on the connection's I/O thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "gateway/http/byte_stream.h"
#include "gateway/http/exchange.h"
#include "gateway/http/http_server.h"
#include "gateway/http/http_types.h"
#include "gateway/http/response_text.h"
#include "gateway/http/tls_context.h"

namespace skein {

// What all connections of a server share; outlives them.
struct ConnectionContext {
  HttpServerOptions options;
  HttpHandler handler;
  GatewayMetrics& metrics;
  std::unique_ptr<TlsContext> tls;  // null: plain HTTP
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Clock = std::chrono::steady_clock;

  Connection(boost::asio::ip::tcp::socket socket, const ConnectionContext& context);

  // Serves until the connection ends, then calls `on_end`.
  void Start(std::function<void()> on_end);
  // Answers 503 without reading, because there are too many connections. Over plain HTTP only.
  void Refuse(std::function<void()> on_end);

  // Looks at the clock: called many times within the shortest timeout.
  void Tick(Clock::time_point now);
  // From now on an answer closes the connection, and one without a request closes at once unless it
  // has never had any: its first request may be on its way. True if an answer is in progress.
  bool Drain();
  // Closes the connection if it is between requests.
  void CloseIfIdle();
  // Tells the handler in progress, if any, to end its answer at once.
  void Shutdown();
  // Ends everything at once; the handler in progress sees a disconnect.
  void Abort();

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Task = boost::asio::awaitable<void>;
  template <typename T>
  using TaskOf = boost::asio::awaitable<T>;

  // What the answer needs to know of the request's head.
  struct RequestTraits {
    bool keep_alive = false;
    bool http_1_0 = false;
    bool head = false;  // the answer has no body
  };

  Task Serve();
  // False: this is no TLS that we speak.
  TaskOf<bool> Handshake();
  Task ServeRefusal();
  // False: the connection is over.
  TaskOf<bool> ServeRequest();

  // Reading. An HttpResponse is the refusal of a request that cannot be served.
  TaskOf<bool> ReadFirstByte();
  TaskOf<std::optional<HttpResponse>> ReadHeader(Parser& parser);
  std::optional<HttpResponse> CheckHead(const Parser& parser, const HttpRequest& request) const;
  TaskOf<std::optional<HttpResponse>> ReadBody(Parser& parser);
  // One read into buffer_; false at the end of the stream, an error or a timeout.
  TaskOf<bool> ReadSome(size_t size);
  HttpResponse ReadFailure(const char* part) const;

  // Answering. The first two return the status, 499 if the client left.
  TaskOf<int> Answer(const HttpRequest& request, RequestTraits& traits);
  TaskOf<int> StreamAnswer(Exchange::Output output, const HttpRequest& request,
                           RequestTraits& traits);
  TaskOf<bool> WriteResponse(const HttpResponse& response, const std::string& request_id,
                             const RequestTraits& traits);
  TaskOf<bool> Write(absl::string_view first, absl::string_view second = "");
  // Shuts down writing and waits a little for the client to read the answer and close.
  Task Linger();

  // Waits until the handler, the client or the clock has something for the answer.
  Task WaitForSignal();
  // Keeps an eye on the socket while an answer is in progress.
  void WatchForDisconnect();
  void OnReadable(const boost::system::error_code& error);
  void ClientLeft();

  void SetDeadline(absl::Duration timeout);
  void ClearDeadline() { deadline_ = Clock::time_point::max(); }
  void Close();
  void Report(const HttpRequest& request, int status, bool refused) const;

  const std::string peer_;  // its address, for the access line
  ByteStream stream_;
  const ConnectionContext& context_;
  boost::asio::steady_timer signal_;  // never expires; cancelled to wake the answer
  boost::beast::flat_buffer buffer_;  // received, not yet parsed
  uint64_t sent_bytes_ = 0;           // of the answer in progress

  Clock::time_point deadline_ = Clock::time_point::max();  // for the read or write in progress
  bool timed_out_ = false;                                 // the deadline passed
  bool idle_ = false;                                      // between requests
  bool asked_ = false;                                     // had a request
  bool draining_ = false;
  bool gone_ = false;                   // the client has left, or the server gave it up
  bool watching_ = false;               // a wait for readability is pending
  std::shared_ptr<Exchange> exchange_;  // of the answer in progress

  Clock::time_point silent_since_ = Clock::time_point::max();  // while an answer is awaited
  bool keep_alive_due_ = false;
};

}  // namespace skein
