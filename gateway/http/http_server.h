// The HTTP/1.1 server: accepts connections, parses requests within limits, hands them to a handler.
//
// Asio and Beast stay inside this folder's .cc files and connection.h.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "gateway/http/http_types.h"
#include "gateway/http/server_options.h"
#include "gateway/metrics.h"

namespace skein {

// Runs on a server thread and must not block: it answers now, or keeps the responder and answers
// later.
using HttpHandler = std::function<void(const HttpRequest&, std::shared_ptr<HttpResponder>)>;

// Each thread has its own listening socket and its own connections, which never move. Thread-safe.
class HttpServer {
 public:
  // Listens when it returns. Unavailable if the address cannot be listened on, InvalidArgument if
  // it is not one. `metrics` outlives the server.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options,
                                                           HttpHandler handler,
                                                           GatewayMetrics& metrics);
  // Stop without a drain.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;
  std::string address() const;  // HOST:PORT, with the real port

  // Closes idle connections and lets open answers finish for `drain_timeout`. In the meantime new
  // requests still reach the handler, which refuses them; each answer closes its connection. Then
  // accepts nothing more, tells handlers whose answers are open to end them, and disconnects what
  // is left. True if no open answer had to be cut. No callback runs after it returns.
  bool Stop(absl::Duration drain_timeout);

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace skein
