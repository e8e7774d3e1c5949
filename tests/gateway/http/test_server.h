// An HttpServer on a free port with a handler of the test's choice, and short timeouts that the
// test sets.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "common/metrics/metrics.h"
#include "gateway/http/http_server.h"
#include "gateway/metrics.h"

namespace skein {

struct SeenAnswer {
  std::string path;
  int status;
};

class TestServer {
 public:
  explicit TestServer(HttpHandler handler, HttpServerOptions options = {}) : metrics(registry) {
    options.listen = "127.0.0.1:0";
    auto started = HttpServer::Start(options, std::move(handler), metrics,
                                     [this](const AnsweredRequest& answered) { Note(answered); });
    EXPECT_TRUE(started.ok()) << started.status();
    server = *std::move(started);
  }

  int port() const { return server->port(); }

  std::vector<SeenAnswer> answers() {
    const std::lock_guard<std::mutex> lock(mu_);
    return answers_;
  }

  MetricsRegistry registry;
  GatewayMetrics metrics;

 private:
  void Note(const AnsweredRequest& answered) {
    const std::lock_guard<std::mutex> lock(mu_);
    answers_.push_back({answered.request.path, answered.status});
  }

  std::mutex mu_;
  std::vector<SeenAnswer> answers_;  // guarded by mu_

 public:
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
