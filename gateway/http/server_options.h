// What an HttpServer runs with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"

#include "gateway/http/heartbeats.h"
#include "gateway/http/http_types.h"
#include "gateway/http/trusted_proxies.h"
#include "skein/config/v1/gateway.pb.h"

namespace skein {

struct HttpServerOptions {
  std::string listen = "127.0.0.1:8080";  // HOST:PORT; port 0 takes a free one
  int threads = 1;
  std::string thread_name = "http";
  std::shared_ptr<Heartbeats> heartbeats = std::make_shared<Heartbeats>();  // of its threads

  config::v1::ServerTls tls;  // without a certificate: plain HTTP

  // Looks at a request's head before a body of more than kLargeBodyBytes, or of a size not told, is
  // read: the answer of one that is not worth reading. Called on the server's threads.
  std::function<std::optional<HttpResponse>(const HttpRequest&)> check_head = nullptr;
  static constexpr uint64_t kLargeBodyBytes = 64 << 10;

  uint64_t max_body_bytes = 16 << 20;
  uint32_t max_header_bytes = 16 << 10;
  int max_connections = 10000;
  bool access_log = true;  // a log line for each request
  TrustedProxies trusted_proxies;
  // An event stream that its client is so far behind of has no room: its source waits.
  size_t max_unsent_bytes = 64 << 10;

  absl::Duration idle_timeout = absl::Seconds(75);   // between requests on a connection
  absl::Duration read_timeout = absl::Seconds(30);   // from the first byte of a request to its last
  absl::Duration write_timeout = absl::Seconds(30);  // without progress in writing
  absl::Duration keep_alive = absl::Seconds(15);     // a silent event stream gets a comment
  absl::Duration linger = absl::Seconds(1);  // after the last answer, for the client to read it
};

// From a configuration whose defaults are filled in: of the listener for clients, of the one for
// RWKV-Infer's, and of the one for probes and metrics.
HttpServerOptions ToServerOptions(const config::v1::GatewayConfig& config);
// Plain HTTP on a loopback address.
HttpServerOptions ToRwkvInferOptions(const config::v1::GatewayConfig& config);
HttpServerOptions ToProbeServerOptions(const config::v1::GatewayConfig& config);
TrustedProxies ToTrustedProxies(const config::v1::GatewayConfig& config);

}  // namespace skein
