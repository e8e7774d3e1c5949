// An HttpServer on a free port with a handler of the test's choice, and short timeouts that the
// test sets.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"

#include "common/metrics/metrics.h"
#include "gateway/http/http_server.h"
#include "gateway/metrics.h"

namespace skein {

class TestServer {
 public:
  explicit TestServer(HttpHandler handler, HttpServerOptions options = {}) : metrics(registry) {
    options.listen = "127.0.0.1:0";
    auto started = HttpServer::Start(options, std::move(handler), metrics);
    EXPECT_TRUE(started.ok()) << started.status();
    server = *std::move(started);
  }

  int port() const { return server->port(); }

  MetricsRegistry registry;
  GatewayMetrics metrics;
  std::unique_ptr<HttpServer> server;  // last: its threads end before the rest is destroyed
};

// Answers 200 with `text`.
inline void SendText(HttpResponder& out, const std::string& text) {
  HttpResponse response;
  response.content_type = "text/plain";
  response.body = text;
  out.Send(std::move(response));
}

// A handler that answers with what it was asked: "METHOD PATH QUERY BODY".
inline void Echo(const HttpRequest& request, std::shared_ptr<HttpResponder> out) {
  static const char* const kNames[] = {"GET", "POST", "DELETE", "PUT", "OPTIONS", "HEAD", "OTHER"};
  SendText(*out, std::string(kNames[static_cast<int>(request.method)]) + " " + request.path + " " +
                     request.query + " " + request.body);
}

}  // namespace skein
