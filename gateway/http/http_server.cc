#include "gateway/http/http_server.h"

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "common/base/status_macros.h"
#include "common/config/access_config.h"
#include "common/config/address.h"
#include "gateway/http/connection.h"
#include "gateway/http/server_shard.h"

namespace skein {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// For handlers to end their answers, and for clients to take them, after a drain in vain.
constexpr absl::Duration kLastWords = absl::Seconds(1);

absl::StatusOr<tcp::endpoint> Resolve(const std::string& listen) {
  ASSIGN_OR_RETURN(const HostPort address, ParseHostPort(listen));
  asio::io_context io;
  error_code error;
  const auto found = tcp::resolver(io).resolve(address.host, std::to_string(address.port),
                                               tcp::resolver::passive, error);
  if (error || found.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("listen: host \"", address.host, "\" is unknown: ", error.message()));
  }
  return found.begin()->endpoint();
}

// The listening sockets share their port with each other, and so would a second server. A socket
// that does not share finds out first whether the address is free.
absl::Status CheckFree(const tcp::endpoint& endpoint) {
  asio::io_context io;
  tcp::acceptor probe(io);
  error_code error;
  probe.open(endpoint.protocol(), error);
  if (!error) probe.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) probe.bind(endpoint, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("listen: ", FormatHostPort(endpoint.address().to_string(), endpoint.port()),
                   " cannot be listened on: ", error.message()));
}

absl::Duration TickInterval(const HttpServerOptions& options) {
  const absl::Duration shortest =
      std::min({options.idle_timeout, options.read_timeout, options.write_timeout,
                options.keep_alive, options.linger});
  return std::clamp(shortest / 8, absl::Milliseconds(5), absl::Milliseconds(250));
}

}  // namespace

class HttpServer::Impl {
 public:
  Impl(const HttpServerOptions& options, HttpHandler handler, GatewayMetrics& metrics)
      : context_{options, std::move(handler), metrics, nullptr} {}

  absl::Status Listen() {
    if (IsOn(context_.options.tls)) {
      ASSIGN_OR_RETURN(context_.tls, TlsContext::Create(context_.options.tls, context_.metrics));
    }
    ASSIGN_OR_RETURN(endpoint_, Resolve(context_.options.listen));
    RETURN_IF_ERROR(CheckFree(endpoint_));
    const absl::Duration tick = TickInterval(context_.options);
    for (int i = 0; i < std::max(1, context_.options.threads); ++i) {
      auto shard = std::make_unique<ServerShard>(context_, count_, tick);
      ASSIGN_OR_RETURN(endpoint_, shard->Listen(endpoint_));
      shards_.push_back(std::move(shard));
    }
    for (size_t i = 0; i < shards_.size(); ++i) {
      shards_[i]->Start(absl::StrCat("skein-", context_.options.thread_name, "-", i));
    }
    return absl::OkStatus();
  }

  bool Stop(absl::Duration drain_timeout) {
    const std::lock_guard<std::mutex> lock(stop_mu_);
    const absl::Time deadline = absl::Now() + drain_timeout;
    bool complete = true;
    for (const auto& shard : shards_) shard->Drain();
    for (const auto& shard : shards_) complete = shard->WaitUntilDrained(deadline) && complete;
    const bool last_words = !complete && drain_timeout > absl::ZeroDuration();
    for (const auto& shard : shards_) {
      if (last_words) shard->Shutdown();
      shard->Close();
    }
    // For last answers on their way, those to late requests among them.
    const absl::Time end = last_words ? absl::Now() + kLastWords
                                      : std::min(deadline, absl::Now() + context_.options.linger);
    for (const auto& shard : shards_) shard->WaitUntilEmpty(end);
    for (const auto& shard : shards_) shard->Abort();
    shards_.clear();  // joins
    return complete;
  }

  const tcp::endpoint& endpoint() const { return endpoint_; }

 private:
  ConnectionContext context_;  // constant once Listen has returned
  ConnectionCount count_;
  tcp::endpoint endpoint_;
  std::mutex stop_mu_;
  std::vector<std::unique_ptr<ServerShard>> shards_;  // guarded by stop_mu_ after Listen
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options,
                                                              HttpHandler handler,
                                                              GatewayMetrics& metrics) {
  auto impl = std::make_unique<Impl>(options, std::move(handler), metrics);
  RETURN_IF_ERROR(impl->Listen());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() { Stop(absl::ZeroDuration()); }

int HttpServer::port() const { return impl_->endpoint().port(); }

std::string HttpServer::address() const {
  return FormatHostPort(impl_->endpoint().address().to_string(), impl_->endpoint().port());
}

bool HttpServer::Stop(absl::Duration drain_timeout) { return impl_->Stop(drain_timeout); }

}  // namespace skein
